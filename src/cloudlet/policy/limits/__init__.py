"""Pure twins of the rate limits, which the tests hold against the edge and the simulator uses.

Each algorithm is one file with its frozen state, `begin` and `decide` (a decision and the state after it). Time is in
whole microseconds of one clock that all share.
"""

from cloudlet.policy.limits.decision import Decision, Quota
from cloudlet.policy.limits.registry import ALGORITHMS, Twin
from cloudlet.policy.limits.stacked import decide_all

__all__ = ["ALGORITHMS", "Decision", "Quota", "Twin", "decide_all"]
