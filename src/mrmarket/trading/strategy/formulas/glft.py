"""The stationary quotes of Guéant, Lehalle and Fernandez-Tapia, with exact fees.

O. Guéant, C.-A. Lehalle, J. Fernandez-Tapia, "Dealing with the inventory risk", arXiv:1105.3115; the general
form by O. Guéant, "Optimal market making", arXiv:1605.01862, equations 4.6 and 4.7. Orders arrive at
`A e^(−k δ)` a second at δ ticks from the mid; gamma weighs the risk of holding, xi that of the fills' timing
(`xi = gamma` is the first paper's model, `xi → 0` a mean-variance one). Units as in the package.
"""

from __future__ import annotations

from math import e, exp, log1p, sqrt

_SMALL_XI = 1e-9
"""Below this xi times the size is nothing beside k: the limit is used."""
_LEAST_GAMMA = 1e-15
_MOST_GAMMA = 1e12
_HALVINGS = 55


def glft_c1(xi: float, k: float, size: float) -> float:
    """The half spread without inventory risk: `ln(1 + ξΔ/k) / (ξΔ)`, with `1/k` as its limit."""
    x = xi * size / k
    return 1.0 / k if x < _SMALL_XI else log1p(x) / (xi * size)


def glft_c2(gamma: float, xi: float, a: float, k: float, size: float) -> float:
    """What volatility is multiplied by: `√(γ / (2AΔk) · (1 + ξΔ/k)^(k/(ξΔ) + 1))`, with `e` as its limit."""
    x = xi * size / k
    power = e if x < _SMALL_XI else exp((1.0 / x + 1.0) * log1p(x))
    return sqrt(gamma / (2.0 * a * size * k) * power)


def glft_terms(gamma: float, xi: float, sigma: float, a: float, k: float, size: float) -> tuple[float, float]:
    """(half spread at no inventory, skew for one order held), in ticks."""
    skew = sigma * glft_c2(gamma, xi, a, k, size)
    return glft_c1(xi, k, size) + size / 2.0 * skew, skew


def glft_arrivals_after_fee(a: float, k: float, fee_ticks: float) -> float:
    """`A e^(−k f s)`: arrivals as a function of the distance that is left after the fee."""
    return a * exp(-k * fee_ticks)


def glft_gamma(limit: float, sigma: float, a: float, k: float, size: float, *, model_a: bool) -> float:
    """The risk aversion at which the side that reduces stands at the fair value once the limit is reached.

    `skew · limit = half spread`, by bisection of the logarithm; `limit` in orders, above half the size.
    With `model_a` xi is gamma, which is then at most k: in a market that hardly moves a larger one would
    only narrow the spread, down to nothing. Else xi is 0.
    """
    low, high = _LEAST_GAMMA * k, k if model_a else _MOST_GAMMA
    for _ in range(_HALVINGS):
        gamma = sqrt(low * high)
        half, skew = glft_terms(gamma, gamma if model_a else 0.0, sigma, a, k, size)
        if skew * limit > half:
            high = gamma
        else:
            low = gamma
    return sqrt(low * high)


def glft_distances(inventory: float, half: float, skew: float, fee_ticks: float) -> tuple[float, float]:
    """(bid's, ask's) distance from the fair value: what is held pushes the bid away and pulls the ask in."""
    return half + skew * inventory + fee_ticks, half - skew * inventory + fee_ticks


def glft_sides(inventory: float, limit: float) -> tuple[bool, bool]:
    """(whether to bid, whether to ask): at the limit only the side that reduces is quoted."""
    return inventory < limit, inventory > -limit
