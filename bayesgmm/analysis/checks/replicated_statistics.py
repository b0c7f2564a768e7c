"""Does the model reproduce what can be said of the data in a number?

Statistics of the data beside those of replicated data: one that lies outside all of theirs is
something that the model cannot do.  Many are looked at together, so beside each p-value
stands one that holds for all of them: the largest deviation over all statistics has a
distribution of its own, which the replicated data sets show (Westfall and Young 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.analysis.checks.replicated_data import before_recording, recorded
from bayesgmm.analysis.partitions.allocations import evenly_spaced
from bayesgmm.compiled.threads import thread_map
from bayesgmm.errors import SpecError
from bayesgmm.options import shown
from bayesgmm.result.fit import MixtureFit

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
#: What a statistic is: rows (N, D) to a number.
Statistic = Callable[[Floats], float]

_BY_FEATURE = ("mean", "sd", "skewness", "kurtosis", "min", "max")
_TAIL = 0.025  # beyond these quantiles of the replicated a deviation exceeds one unit


class Replicated(NamedTuple):
    """Statistics of the data (M,) and of R replicated data sets (R, M), with their names."""

    labels: list[tuple[str, str]]  # statistic, and the features that it is of
    observed: Floats
    replicated: Floats


def replicated_statistics(
    fit: MixtureFit,
    n_replicates: int,
    own: Mapping[str, Statistic],
    root: np.random.SeedSequence,
    cores: int,
) -> Replicated:
    """Of the data, and of data sets from evenly spaced draws (again, where there are fewer)."""
    rows = fit.observations
    flat = before_recording(fit.parameters.flat(), rows.resolution)
    draws = evenly_spaced(len(flat.weights), n_replicates)
    center, scale = rows.center, rows.feature_scale
    upper = np.triu_indices(rows.n_features, 1)
    names = fit.feature_names
    labels = [(statistic, name) for statistic in _BY_FEATURE for name in names]
    labels += [("correlation", f"{names[i]}, {names[j]}") for i, j in zip(*upper, strict=True)]
    taken = {_label(*each) for each in labels}
    for name in own:
        if str(name) in taken:
            raise SpecError(f"There is a statistic {str(name)!r} already; give yours another name.")
        taken.add(str(name))
    labels += [(str(name), "") for name in own]

    def one(x: Floats) -> Floats:
        given = [_number(name, statistic(x)) for name, statistic in own.items()]
        return np.concatenate([_moments((x - center) / scale, upper), given])

    def replicate(task: tuple[int, np.random.SeedSequence]) -> Floats:
        r, seed = task
        draw = flat[int(draws[r % len(draws)])]
        x = draw.simulate(rows.n_rows, seed=seed)[0]
        return one(recorded(x, rows.resolution, rows.matrix[0]))

    observed = one(rows.values)
    # A caller's function need not bear threads.
    found = thread_map(replicate, enumerate(root.spawn(n_replicates)), 1 if own else cores)
    both = np.vstack([observed, *found])
    d = rows.n_features
    both[:, :d] = both[:, :d] * scale + center
    both[:, d : 2 * d] *= scale
    both[:, 4 * d : 6 * d] = both[:, 4 * d : 6 * d] * np.tile(scale, 2) + np.tile(center, 2)
    return Replicated(labels, both[0], both[1:])


def statistics_table(found: Replicated, mass: float) -> pd.DataFrame:
    """A row per statistic: the data's, the replicated interval, and p-values alone and for all.

    ``p_value`` is twice the smaller share of the R + 1 data sets that reach the data's from one
    side; ``p_adjusted`` the share of them of which any statistic deviates as much as this one
    does of the data.  Deviations are measured as in Myllymäki, Mrkvička, Grabarnik, Seijo
    and Hahn (2017): from the mean, in units of the distance to the tail quantile on that side,
    which puts skewed and symmetric statistics on a par.
    """
    import pandas as pd

    observed, replicated = found.observed, found.replicated
    r = len(replicated)
    reached = np.minimum((replicated >= observed).sum(axis=0), (replicated <= observed).sum(axis=0))
    worst = deviations(found)
    alike = (worst.max(axis=1)[:, None] >= worst[0] * (1 - 1e-12)).sum(axis=0)
    low, high = np.quantile(replicated, [(1 - mass) / 2, (1 + mass) / 2], axis=0)
    index = [_label(*each) for each in found.labels]
    return pd.DataFrame(
        {
            "statistic": [what for what, _ in found.labels],
            "features": [of for _, of in found.labels],
            "observed": observed,
            "replicated": replicated.mean(axis=0),
            "lower": low,
            "upper": high,
            "p_value": np.minimum(2 * (reached + 1) / (r + 1), 1.0),
            "p_adjusted": alike / (r + 1),
        },
        index=index,
    )


def deviations(found: Replicated) -> Floats:
    """Deviations (R + 1, M) of the data, first, and of the replicated, in tail units."""
    both = np.vstack([found.observed, found.replicated])
    low, high = np.quantile(both, [_TAIL, 1 - _TAIL], axis=0)
    away = both - both.mean(axis=0)
    unit = np.where(away >= 0, high - both.mean(axis=0), both.mean(axis=0) - low)
    unit = np.where(unit > 0, unit, np.maximum(high - low, both.std(axis=0)))
    return np.divide(np.abs(away), unit, out=np.zeros_like(away), where=unit > 0)


def _moments(z: Floats, upper: Any) -> Floats:
    """The statistics of standardised rows (N, D), in the order of the labels."""
    mean = z.mean(axis=0)
    away = z - mean
    largest = np.abs(away).max(axis=0)  # whose fourth power may be beyond doubles
    varies = largest > 0  # that of two rows far out, with a unit in the last place above their sd
    away = away / np.where(varies, largest, 1.0)
    square = away * away
    variance = np.where(varies, square.mean(axis=0), 1.0)
    sd = np.sqrt(variance)
    correlation = (away.T @ away)[upper] / len(z) / (sd[upper[0]] * sd[upper[1]])
    return np.concatenate(
        [
            mean,
            largest * sd,
            (square * away).mean(axis=0) / (variance * sd),
            (square * square).mean(axis=0) / variance**2 - 3,
            z.min(axis=0),
            z.max(axis=0),
            correlation,
        ]
    )


def _label(statistic: str, features: str) -> str:
    return f"{statistic} of {features}" if features else statistic


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise SpecError(
            f"The statistic {name!r} gave {shown(value)}; it must give a finite number."
        )
    return number
