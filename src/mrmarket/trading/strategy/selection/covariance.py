"""A covariance of few observations, pulled towards its diagonal as far as they are too few to tell more."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from mrmarket.core.errors import InvalidInputError

Matrix = npt.NDArray[np.float64]

_FEWEST: Final = 2


def shrunk_covariance(returns: Matrix) -> tuple[Matrix, float]:
    """The sample covariance with its off-diagonal part times 1 − λ, and λ.

    λ is the share of the squared off-diagonal entries that is estimation noise, cut to 0 … 1: the optimal
    linear shrinkage of Ledoit and Wolf (2004) with the diagonal as target, by Schäfer and Strimmer's (2005)
    estimate of the entries' variances.

    Args:
        returns: one row an observation, one column a strategy; finite.

    Raises:
        InvalidInputError: fewer than two rows, or something that is no number.
    """
    if returns.ndim != _FEWEST or returns.shape[0] < _FEWEST or not np.isfinite(returns).all():
        raise InvalidInputError("returns", returns.shape, "two rows or more of finite numbers")
    rows = returns.shape[0]
    centred = returns - returns.mean(axis=0)
    products = centred[:, :, None] * centred[:, None, :]
    mean = products.mean(axis=0)
    covariance = mean * rows / (rows - 1)
    noise = ((products - mean) ** 2).sum(axis=0) * rows / (rows - 1) ** 3
    beside = ~np.eye(returns.shape[1], dtype=bool)
    signal = float((covariance[beside] ** 2).sum())
    intensity = min(1.0, float(noise[beside].sum()) / signal) if signal > 0 else 1.0
    shrunk = covariance.copy()
    shrunk[beside] *= 1 - intensity
    return shrunk, intensity
