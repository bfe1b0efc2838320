"""Schedule: how the rate of learning changes over the steps."""

from __future__ import annotations

import math

from cbirlab.base.params import Choice

SCHEDULE = Choice(("constant", "cosine"))
"""Not at all; or rising over the first `WARM_UP` steps, and falling to 0 as a cosine."""

WARM_UP = 10


def share_of_rate(schedule: str, done: int, steps: int) -> float:
    """Share of the rate at the step after `done` of `steps`."""
    if schedule == "constant":
        return 1.0
    return min(1.0, (done + 1) / WARM_UP) * (1 + math.cos(math.pi * done / max(1, steps))) / 2
