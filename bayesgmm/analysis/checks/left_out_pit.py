"""Where each row lies in the predictive distribution that had not seen it.

The probability of a smaller value than the row's, under the posterior without the row, is
uniform over rows if the model is right, and nothing like it where a distribution is too wide,
too narrow, shifted, or has the wrong shape (Gelfand, Dey and Chang 1992).  A projection of a
Gaussian mixture is a Gaussian mixture on the line, so that probability is a sum of normal
distribution functions, without simulation, for every feature and for every direction
through them; directions see what no single feature shows.

Recorded values are spread evenly over their steps and held against ones that were recorded and
spread as well: of a feature with the distribution function F before recording that is a uniform
number between F(x - r / 2) and F(x + r / 2), the randomised PIT.  Along other directions neither
this nor uniform noise has a simple distribution function, and there it is simulated.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.analysis.checks.replicated_data import before_recording, recorded, thinned
from bayesgmm.analysis.criteria.pointwise import FEWEST, weights_without_rows
from bayesgmm.analysis.partitions.allocations import evenly_spaced
from bayesgmm.compiled.threads import thread_map
from bayesgmm.mixture.noise import Noise
from bayesgmm.result.fit import MixtureFit

Floats = NDArray[np.float64]

_BLOCK = 1_000_000  # values of a distribution function held at once, by each thread
_SIMULATED = 200_000  # rows, over all draws, of which shares are known to a thousandth


class LeftOut(NamedTuple):
    """Probabilities (obs, direction), the directions, and each row's Pareto k-hat."""

    values: xr.DataArray
    directions: xr.DataArray  # (direction, feature), in the data's units
    k_hat: xr.DataArray | None  # (obs); None where no row was left out


def left_out_pit(
    fit: MixtureFit, n_projections: int, max_draws: int, max_rows: int,
    rng: np.random.Generator, cores: int,
) -> LeftOut:  # fmt: skip
    """Leave-one-out PIT by Pareto-smoothed importance sampling; of a point fit, plain PIT.

    ``sum_s w_is F_s(y_i)``, with F_s the projected mixture's distribution function at draw s
    and w_is the smoothed weights that take row i out of the posterior.
    """
    observations = fit.observations
    rows = evenly_spaced(observations.n_rows, max_rows)
    x, index = observations.matrix[rows], observations.index[rows]
    names = fit.feature_names
    directions = np.vstack(
        [np.eye(len(names)), _projections(observations.values, n_projections, rng)]
    )
    labels = [*names, *(f"projection {i}" for i in range(len(directions) - len(names)))]
    parameters, _ = thinned(fit, max_draws)
    weights, k_hat = _weights(fit, parameters.log_density(x, cores=cores))
    steps = observations.resolution
    flat = before_recording(parameters.flat(), steps)
    s, k = flat.weights.shape
    size = max(_BLOCK // (s * k), 1)
    out = np.empty((len(x), len(directions)))
    within, made = np.zeros(x.shape), None
    if steps.any() or fit.spec.noise:
        within = rng.uniform(-0.5, 0.5, x.shape)
        if len(directions) > len(names):
            made = flat.simulate(-(-_SIMULATED // s), seed=rng)[0]
            made = recorded(made, steps, observations.matrix[0])
            made += steps * rng.uniform(-0.5, 0.5, made.shape)

    def one(task: tuple[int, int]) -> None:
        j, begin = task
        direction, part = directions[j], slice(begin, begin + size)
        if made is not None and j >= len(names):
            spread = (x[part] + steps * within[part]) @ direction
            out[part, j] = _shares(spread, np.sort(made @ direction), weights[part])
            return
        means = flat.means @ direction
        turned = np.swapaxes(flat.scale_tril, -1, -2) @ direction
        largest = np.abs(turned).max(axis=-1)  # whose square may be beyond doubles
        scales = largest * np.linalg.norm(turned / largest[..., None], axis=-1)
        noise = None if flat.noise is None else flat.noise.marginal(np.array([j]))

        def below(y: Floats) -> Floats:
            return _probabilities(y, flat.weights, means, scales, weights[part], noise)

        y = x[part] @ direction
        if not steps.any():
            out[part, j] = below(y)
            return
        low, high = (below(y + side * steps[j] / 2) for side in (-1, 1))
        out[part, j] = low + (within[part, j] + 0.5) * (high - low)

    tasks = [(j, begin) for j in range(len(directions)) for begin in range(0, len(x), size)]
    thread_map(one, tasks, cores)
    coords = {"obs": index, "direction": labels, "feature": list(names)}
    return LeftOut(
        xr.DataArray(
            out,
            dims=("obs", "direction"),
            name="pit",
            coords={name: coords[name] for name in ("obs", "direction")},
        ),
        xr.DataArray(
            directions,
            dims=("direction", "feature"),
            name="directions",
            coords={name: coords[name] for name in ("direction", "feature")},
        ),
        None
        if k_hat is None
        else xr.DataArray(k_hat, dims="obs", coords={"obs": index}, name="pareto_k"),
    )


def uniformity(values: xr.DataArray) -> Any:
    """A table with a row per direction: p-value of uniformity, alone and for all of them.

    The test is ArviZ's POT-C: each ordered value against its beta distribution, the p-values
    combined by a truncated Cauchy sum, which bears the dependence between them and between
    left-out rows (Tesso and Vehtari 2026).  Adjusted by Holm (1979), which bears any dependence
    between directions.  ``distance`` is the largest difference between the values' distribution
    function and the uniform one's.
    """
    import pandas as pd
    from arviz_stats.base import array_stats

    columns = values.values.T
    # Of a row beyond all reach the probability is 0 or 1 to rounding, which no uniform value is.
    inside = np.clip(columns, 1e-300, 1 - 2.0**-53)
    p = np.array(
        [float(array_stats.uniformity_test(column, method="pot_c")[0]) for column in inside]
    )
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return pd.DataFrame(
        {
            "p_value": p,
            "p_adjusted": adjusted,
            "distance": [_distance(np.sort(column)) for column in columns],
        },
        index=[str(name) for name in values["direction"].values],
    )


def _distance(ordered: Floats) -> float:
    n = len(ordered)
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def _projections(values: Floats, n: int, rng: np.random.Generator) -> Floats:
    """Directions (n, D), uniform where the data have unit covariance; none for one feature.

    So they are the same directions whatever units the features come in, and
    narrow directions through correlated features are found as well as wide ones.
    """
    d = values.shape[1]
    if d == 1:
        return np.empty((0, d))
    scale = values.std(axis=0)
    z = (values - values.mean(axis=0)) / scale
    variances, vectors = np.linalg.eigh(z.T @ z / len(z))
    kept = variances > 1e-10 * variances[-1]
    on_sphere = rng.standard_normal((n, int(kept.sum())))
    on_sphere /= np.linalg.norm(on_sphere, axis=1, keepdims=True)
    return (on_sphere / np.sqrt(variances[kept])) @ vectors[:, kept].T / scale


def _weights(fit: MixtureFit, log_density: Floats) -> tuple[Floats, Floats | None]:
    """Weights (N, S) of the draws without each row, summing to one, and k-hats (N,)."""
    chains, draws, n = log_density.shape
    flat = log_density.reshape(chains * draws, n).T
    if not fit.is_posterior:
        return np.ones((n, 1)), None
    if chains * draws < FEWEST:  # plain importance weights, on which nobody should rely
        weights = np.exp(flat.min(axis=1, keepdims=True) - flat)
        return weights / weights.sum(axis=1, keepdims=True), np.full(n, np.inf)
    from arviz_stats.base import array_stats

    # How much the draws know, of how many there are, sets how much of the tail is smoothed.
    ess = float(array_stats.ess(log_density.sum(axis=-1))) if draws > 4 else np.nan
    relative = min(ess / (chains * draws), 1.0) if np.isfinite(ess) and ess > 0 else 1.0
    log_weights, k_hat = weights_without_rows(flat, relative)
    return np.exp(log_weights), np.nan_to_num(k_hat, nan=np.inf)


def _probabilities(
    y: Floats,
    weights: Floats,
    means: Floats,
    scales: Floats,
    draw_weights: Floats,
    noise: Noise | None,
) -> Floats:
    """Distribution function at each of ``y`` (n,), averaged over draws by each row's weights."""
    from scipy.special import ndtr

    z = (y[:, None, None] - means) / scales
    by_draw = np.einsum("nsk,sk->ns", ndtr(z), weights)
    if noise is not None:
        low, high = noise.required_box[:, 0]
        by_draw += np.clip((y - low) / (high - low), 0.0, 1.0)[:, None] * noise.weight
    return np.clip(np.einsum("ns,ns->n", by_draw, draw_weights), 0.0, 1.0)


def _shares(y: Floats, ordered: Floats, draw_weights: Floats) -> Floats:
    """The same by simulated values (S, m) of each draw, in order."""
    total = np.zeros(len(y))
    for values, weight in zip(ordered, draw_weights.T, strict=True):
        total += weight * np.searchsorted(values, y)
    least = 0.5 / ordered.size  # beyond all of them is not beyond all reach
    return np.clip(total / ordered.shape[1], least, 1 - least)
