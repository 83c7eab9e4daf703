"""What the loop sets from measurements: weights of least-response-time and resource-based, ejection by passive checks.

Reads HAProxy's counters and /proc, asks the pure policies, and tells the edge.
"""

from __future__ import annotations
