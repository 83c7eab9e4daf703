"""Load as users make it: an open loop at a rate or a closed one at a concurrency, every failure counted.

    report = await run(LoadPlan("http://127.0.0.1:8080/", rate=500, duration=10))

`run_blocking` does the same on an event loop of its own (uvloop, about twice as fast), also from a thread.
"""

from cloudlet.load.plan import LoadPlan, Request
from cloudlet.load.report import Latency, Progress, Report
from cloudlet.load.run import run, run_blocking

__all__ = ["Latency", "LoadPlan", "Progress", "Report", "Request", "run", "run_blocking"]
