"""One partition for a posterior of partitions, and how sure it is.

A mixture's draws say of each row where it may belong; a partition is the answer that a
person can use.  It is the one of least posterior expected loss, with its credible ball,
the probability of each row's place, and the number of occupied components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayesgmm.analysis.partitions.allocations import (
    Labels,
    as_allocations,
    draw_allocations,
    occupied_in,
)
from bayesgmm.analysis.partitions.comparison import compare_partitions
from bayesgmm.analysis.partitions.credible_ball import CredibleBall
from bayesgmm.analysis.partitions.loss import Floats, Loss, canonical, distances
from bayesgmm.analysis.partitions.minimise import minimise
from bayesgmm.analysis.partitions.similarity import similarity
from bayesgmm.compiled.threads import available_cores
from bayesgmm.errors import DataError, warn
from bayesgmm.interrupts import whole_imports
from bayesgmm.markup import block, sentences
from bayesgmm.options import (
    COUNT,
    LIMIT,
    PROBABILITY,
    PROGRESS,
    Progress,
    one_of,
    optional,
    seed_sequence,
    shown,
)
from bayesgmm.result.fit import MixtureFit
from bayesgmm.result.record import doubt

_NAMES = {"vi": "variation of information", "binder": "Binder loss"}
_SHOWN = 5


@dataclass(frozen=True, eq=False, repr=False)
class Partition:
    """The partition of least posterior expected loss.

    Made by :func:`partition`.

    Attributes
    ----------
    labels : DataArray (obs)
        Cluster of each row, numbered from 0 by first appearance.
    loss : {"vi", "binder"}
    expected_loss : float
        Mean loss to the draws: bits for ``vi``, a share of pairs for ``binder``.
    certainty : DataArray (obs)
        Probability that a row is with another row of its cluster, averaged over those
        rows; for a cluster of one, that the row is alone.
    credible_ball : CredibleBall
    occupied : pandas.Series
        Posterior probability of each number of occupied components, by number; as
        :func:`occupied` counts them, without noise and rows of weight zero.
    allocations : array of shape (S, N)
        The draws that all this was made from.
    n_runs : int
        Runs of the search that were finished.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()[:60]
    >>> post = bg.fit(bg.MixtureSpec(2), X, method="laplace", seed=1, draws=200)
    >>> found = bg.partition(post, seed=1)
    >>> found.n_clusters, found.labels.dims, found.allocations.shape
    (2, ('obs',), (200, 60))
    """

    labels: xr.DataArray
    loss: Loss
    expected_loss: float
    certainty: xr.DataArray
    credible_ball: CredibleBall
    occupied: Any
    allocations: Labels
    n_runs: int

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.labels.max()) + 1

    @property
    def sizes(self) -> Any:
        """Rows in each cluster, a pandas.Series."""
        import pandas as pd

        sizes = np.bincount(self.labels.values)
        return pd.Series(sizes, pd.RangeIndex(len(sizes), name="cluster"), name="rows")

    def similarity(self, rows: Any = None, *, cores: int | None = None) -> xr.DataArray:
        """Posterior similarity matrix: the probability that two rows are together.

        Parameters
        ----------
        rows : slice or sequence of int, optional
            Positions of the rows of a block; all rows where left out.  The matrix takes
            4 bytes an entry (1.6 GB for 20,000 rows), and making it no more than that.
        cores : int, optional

        Returns
        -------
        DataArray (obs, obs_bis), float32
        """
        chosen = np.arange(len(self.labels))
        if rows is not None:
            try:
                chosen = np.atleast_1d(chosen[rows])
                if isinstance(rows, (bool, np.bool_)) or chosen.ndim != 1:
                    raise TypeError
            except Exception:  # of frames as positions whatever they raise
                raise DataError(
                    f"rows must be positions from 0 to {len(chosen) - 1}, got {shown(rows)}."
                ) from None
        matrix = similarity(self.allocations[:, chosen], cores=available_cores(cores))
        index = self.labels["obs"].values[chosen]
        return xr.DataArray(
            matrix,
            dims=("obs", "obs_bis"),
            coords={"obs": index, "obs_bis": index},
            name="similarity",
        )

    def table(self, other: Any) -> Any:
        """Cross table with another partition of the same rows: rows counted by both.

        Parameters
        ----------
        other : anything that :func:`compare_partitions` takes

        Returns
        -------
        pandas.DataFrame
        """
        return compare_partitions(self, other).table

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        title, *lines = self._lines()
        return block(title, sentences(lines))

    def _lines(self) -> list[str]:
        draws, n = self.allocations.shape
        sizes = self.sizes.sort_values(ascending=False)
        shown = ", ".join(f"{size:,}" for size in sizes[:10]) + (", …" if len(sizes) > 10 else "")
        unit = " bits" if self.loss == "vi" else ""
        likely = self.occupied.sort_values(ascending=False)[:_SHOWN]
        numbers = ", ".join(f"{k} ({p * 100:.3g} %)" for k, p in likely.items())
        lines = [
            f"Partition of {n:,} rows into {self.n_clusters} cluster{'s' * (self.n_clusters != 1)} "
            f"({shown} rows)",
            f"Expected {_NAMES[self.loss]} {self.expected_loss:.4g}{unit}, the least found in "
            f"{self.n_runs} runs over {draws:,} draws",
            repr(self.credible_ball),
            f"Occupied components: {numbers}",
        ]
        order = np.argsort(self.certainty.values, kind="stable")[:_SHOWN]
        rows = ", ".join(
            f"{self.certainty['obs'].values[i]} ({self.certainty.values[i]:.2f})" for i in order
        )
        return [*lines, f"Least certain rows, with the probability of their place: {rows}"]


@whole_imports
def partition(
    fit: MixtureFit | Any,
    *,
    loss: Loss = "vi",
    mass: float = 0.95,
    max_draws: int = 1000,
    runs: int = 16,
    max_clusters: int | None = None,
    seed: Any = None,
    cores: int | None = None,
    progress: Progress | None = None,
) -> Partition:
    """The partition of least posterior expected loss, with its uncertainty.

    Parameters
    ----------
    fit : MixtureFit or array of shape (S, N)
        A fit, whose allocations are drawn; or allocation draws from anywhere, whole
        numbers.  A point fit's partition knows nothing of uncertain parameters.
    loss : {"vi", "binder"}, default "vi"
        Variation of information, in bits, or Binder's loss with equal costs.  Binder's
        tends to more clusters, with rows that fit nowhere alone.
    mass : float, default 0.95
        Posterior probability of the credible ball.
    max_draws : int, default 1000
        Draws used, evenly spaced.
    runs : int, default 16
        Random starts of the search, beside the best draws.
    max_clusters : int, optional
        The most clusters that the partition may have; by default as many as lower the
        loss.
    seed : int, SeedSequence or Generator, optional
        The same seed gives the same partition, on any number of threads.
    cores : int, optional
        Threads; all that the process may use by default.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Partition

    Raises
    ------
    DataError, FitError, SpecError
        If there is nothing to partition, or an option is not valid.

    Warns
    -----
    FitWarning
        If the fit is one whose chains are not known to have converged, and if the search was
        interrupted (Ctrl-C); the best partition so far is returned.

    References
    ----------
    Wade and Ghahramani (2018), Bayesian cluster analysis: point estimation and credible
    balls, Bayesian Analysis 13.  Dahl, Johnson and Müller (2022), Search algorithms and
    loss functions for Bayesian clustering, J. Computational and Graphical Statistics 31.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> post = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> found = bg.partition(post, max_draws=200, seed=1)
    >>> found.n_clusters, int(found.certainty.idxmin("obs"))
    (2, 243)
    >>> found.labels.values in found.credible_ball
    True
    """
    one_of(*_NAMES)("loss", loss)
    mass, max_draws = PROBABILITY("mass", mass), LIMIT("max_draws", max_draws)
    runs, max_clusters = COUNT("runs", runs), optional(LIMIT)("max_clusters", max_clusters)
    cores, progress = available_cores(cores), PROGRESS("progress", progress)
    for_draws, for_search = seed_sequence(seed).spawn(2)
    if isinstance(fit, MixtureFit):
        if told := doubt(fit, "partition"):
            warn(told)
        draws = draw_allocations(fit, max_draws=max_draws, seed=for_draws, cores=cores)
        index = fit.observations.index
    else:
        draws = as_allocations(fit, max_draws)
        index = np.arange(draws.shape[1])
    found = minimise(
        draws,
        loss,
        runs=runs,
        max_clusters=max_clusters,
        seed=for_search,
        cores=cores,
        progress=progress,
    )
    labels = xr.DataArray(
        found.labels.astype(np.int64), dims="obs", coords={"obs": index}, name="cluster"
    )
    numbered, widths = canonical(draws)
    far = distances(found.labels, numbered, widths, loss)
    certainty = xr.DataArray(
        _certainty(found.labels, numbered), dims="obs", coords={"obs": index}, name="certainty"
    )
    return Partition(
        labels,
        loss,
        found.expected_loss,
        certainty,
        CredibleBall.around(labels, numbered, far, loss, mass),
        occupied_in(draws, fit if isinstance(fit, MixtureFit) else None),
        draws,
        found.n_runs,
    )


def _certainty(labels: Labels, draws: Labels) -> Floats:
    """Probability of being with a row of the same cluster, averaged over the others in it."""
    sizes = np.bincount(labels)
    others = sizes[labels] - 1
    total = np.zeros(len(labels))
    for draw in draws:
        cell = labels.astype(np.int64) * (int(draw.max()) + 1) + draw
        with_own = np.bincount(cell)[cell] - 1
        alone = np.bincount(draw)[draw] == 1
        total += np.where(others > 0, with_own / np.maximum(others, 1), alone)
    return total / len(draws)
