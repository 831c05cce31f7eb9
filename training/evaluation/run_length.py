"""Average run length of a cumulative sum on whole steps, as an absorbing Markov chain (Brook & Evans 1972)."""

from collections.abc import Mapping

import numpy as np

Steps = Mapping[int, float]
"""Probability of each change of the sum, in steps."""


def average_run_length(steps: Steps, limit: int) -> float:
    """Expected number of values until max(0, sum + step) reaches `limit`, from 0 on; exact for independent values.

    With R the transitions among the sums 0 … limit − 1, it is the first of (I − R)⁻¹ 1.
    """
    lowest, highest = min(steps), max(steps)
    density = np.zeros(2 * limit + max(-lowest, 0) + max(highest, 0) + 1)
    origin = limit + max(-lowest, 0)
    for step, probability in steps.items():
        density[origin + step] += probability
    states = np.arange(limit)
    transitions = density[origin + states[np.newaxis, :] - states[:, np.newaxis]]  # limit×limit
    transitions[:, 0] = np.cumsum(density)[origin - states]  # all that would lead to 0 or below it
    return float(np.linalg.solve(np.eye(limit) - transitions, np.ones(limit))[0])


def limit_for(steps: Steps, run_length: float) -> int | None:
    """The least limit whose average run length is at least `run_length`; None where the sum can't grow."""
    if max(steps) <= 0:
        return None
    high = 1
    while average_run_length(steps, high) < run_length:
        high *= 2
    low = high // 2  # too low, or 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if average_run_length(steps, middle) >= run_length else (middle, high)
    return high
