"""Clustered arrival times: a Hawkes process with two exponential kernels.

Source: A. G. Hawkes, "Spectra of some self-exciting and mutually exciting point processes" (1971);
simulated by Ogata's thinning (1981).
"""

from __future__ import annotations

from math import exp, log
from random import Random

from mrmarket.core.errors import InvalidInputError


class ClusteredArrivals:
    """Times at which things happen, where each thing makes more things likely for a while."""

    __slots__ = (
        "_base",
        "_calm",
        "_fast",
        "_fast_decay",
        "_fast_step",
        "_rng",
        "_slow",
        "_slow_decay",
        "_slow_step",
        "_time_s",
    )

    def __init__(
        self,
        rng: Random,
        *,
        base_per_s: float,
        fast_share: float,
        fast_decay_per_s: float,
        slow_share: float,
        slow_decay_per_s: float,
    ) -> None:
        """Each arrival sets off `fast_share + slow_share` others in the mean, which must stay below 1."""
        if fast_share + slow_share >= 1:
            raise InvalidInputError(
                "fast_share + slow_share", fast_share + slow_share, "shares that sum to less than 1"
            )
        self._rng = rng
        self._base = base_per_s
        mean_per_s = base_per_s / (1 - fast_share - slow_share)
        self._fast_step = fast_share * fast_decay_per_s
        self._fast_decay = fast_decay_per_s
        self._slow_step = slow_share * slow_decay_per_s
        self._slow_decay = slow_decay_per_s
        # Start in the mean state.
        self._fast = mean_per_s * fast_share
        self._slow = mean_per_s * slow_share
        self._calm = self._base + self._slow
        self._time_s = 0.0

    @property
    def activity(self) -> float:
        """The present intensity without bursts over its mean: 1 on average, more in a busy market."""
        return (self._base + self._slow) / self._calm

    def next_s(self) -> float:
        """Seconds since the start of the next arrival; never decreases."""
        random = self._rng.random
        while True:
            bound = self._base + self._fast + self._slow
            wait_s = -log(1.0 - random()) / bound
            self._time_s += wait_s
            self._fast *= exp(-self._fast_decay * wait_s)
            self._slow *= exp(-self._slow_decay * wait_s)
            if random() * bound <= self._base + self._fast + self._slow:
                self._fast += self._fast_step
                self._slow += self._slow_step
                return self._time_s
