"""Clusters are not components: which components of a fit make one cluster.

A skewed or bent cluster takes several normals, so the K of a good density is often
larger than the number of clusters.  Two published rules join components into clusters,
one by the valleys of the density and one by the entropy of the memberships.  Each is
applied to every draw by itself, since components of different draws need not
correspond; how many clusters there are then has a posterior like anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.analysis.merging.entropy_tree import chosen_merges, empty_columns, entropy_tree
from bayesgmm.analysis.merging.ridgeline import ridgeline_trees
from bayesgmm.analysis.partitions.allocations import evenly_spaced
from bayesgmm.compiled.threads import available_cores, one_blas_thread, thread_map
from bayesgmm.errors import FitError
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.statistics import row_memberships
from bayesgmm.options import LIMIT, SHARE, one_of, optional
from bayesgmm.result.fit import MixtureFit, require_fit

#: Least ratio at which the ridgeline method merges: equation (9) of Hennig (2010).
RIDGELINE_THRESHOLD = 0.2
_PAPERS = {
    "ridgeline": "ridgeline ratio (Hennig 2010)",
    "entropy": "entropy of the memberships (Baudry and others 2010)",
}
_POINT = "at the point estimate"


@dataclass(frozen=True, eq=False, repr=False)
class Merging:
    """Components joined into clusters; made by :func:`merge_components`.

    Attributes
    ----------
    by : str
        ``"ridgeline"`` or ``"entropy"``.
    threshold : float or None
        None where the elbow of the entropy decided.
    clusters : DataArray (component)
        The cluster of each component.  Clusters are numbered by their first component.
    labels : DataArray (obs)
        The most probable cluster of each row.
    memberships : DataArray (obs, cluster)
        Probability of each cluster: the sum over its components.
    table : pandas.DataFrame
        The whole tree, a row per number of clusters from K to 1: ``first`` and ``second``,
        the components of the two clusters that merged last; the ``ratio`` at which they
        did, or the ``entropy`` after it, the ``merged_rows`` of the new cluster and the
        ``drop_per_row`` of the entropy; ``empty``, whether one of the two was the most
        probable one of no row; ``taken``, whether ``clusters`` has this merge.
    n_clusters : pandas.Series
        Posterior probability by number of clusters; 1 for what a point fit has.
    shown : str
        What ``clusters``, ``labels`` and ``table`` are of: the point estimate, a draw, or
        the averaged memberships.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit(bg.MixtureSpec(3), bg.datasets.faithful(), method="em", seed=1)
    >>> found = bg.merge_components(em)
    >>> found.clusters.sizes["component"], found.memberships.dims
    (3, ('obs', 'cluster'))
    """

    by: str
    threshold: float | None
    clusters: xr.DataArray
    labels: xr.DataArray
    memberships: xr.DataArray
    table: Any
    n_clusters: Any
    shown: str
    _sizes: tuple[float, ...]

    def __repr__(self) -> str:
        cluster = self.clusters.values
        rule = "up to its elbow" if self.threshold is None else f"down to {self.threshold:g}"
        lines = [
            f"Merging by {_PAPERS[self.by]}, {rule}",
            f"{_counted(len(cluster), 'component')} in {_counted(len(self._sizes), 'cluster')}, "
            f"{self.shown}",
        ]
        for c, size in enumerate(self._sizes):
            members = np.flatnonzero(cluster == c)
            names = "component" + "s" * (len(members) > 1) + " " + ", ".join(map(str, members))
            lines.append(f"  cluster {c}: {names}; {_counted(size, 'row')}")
        if self.shown != _POINT:
            chances = ", ".join(f"{n} ({p:.3g})" for n, p in self.n_clusters.items())
            lines.append(f"Number of clusters over the draws, with probability: {chances}")
        return "\n".join(lines)


def _counted(n: float, what: str) -> str:
    return f"{n:g} {what}{'s' * (n != 1)}"


def merge_components(
    fit: MixtureFit,
    *,
    by: str = "ridgeline",
    threshold: float | None = None,
    max_draws: int = 1000,
    cores: int | None = None,
) -> Merging:
    """Join components into clusters, and say how many clusters there are.

    Both methods merge two clusters at a time.  A component that is the most probable
    one of no row is no cluster: such are taken up first, each by its best partner.
    Of equally good pairs the first is merged.  Row weights count.

    Parameters
    ----------
    fit : MixtureFit
        Of any method.
    by : {"ridgeline", "entropy"}, default "ridgeline"
        ``"ridgeline"``, after Hennig (2010): the two clusters whose density has the
        shallowest valley are merged, as long as the lowest density between their modes
        is at least ``threshold`` times that at the lower mode.  A merged cluster is
        from then on one normal with its components' joint mean and covariance.

        ``"entropy"``, after Baudry and others (2010): the two clusters whose merge lowers
        the entropy of the memberships most are merged, up to the elbow of the entropy
        against the cumulative number of merged rows, where two lines fit best.
        An elbow needs three points and is never at an end: of the components that hold
        rows, two stay 2 clusters, three give 2 and more never give 1.  Nothing is merged
        where this lowers the entropy by less than 0.01 a merged row: memberships are then
        certain.  In a cluster of many parts the elbow can come early, since later merges
        are spread over more rows.  A ``threshold`` has no such limits.
    threshold : float, optional
        For the ridgeline the least ratio that merges, 0.2 by default as in the paper;
        with 1 only what has one mode is merged.  For the entropy the least drop in nats
        a merged row that merges (two unit normals of equal weight lose 0.17 at distance
        3 and 0.06 at distance 4); without it, the elbow decides.
    max_draws : int, default 1000
        Of a posterior with more draws, that many evenly spaced ones are used.
    cores : int, optional
        Threads; all that the process may use by default.

    Returns
    -------
    Merging
        Of a posterior, ``n_clusters`` is over draws, each merged by itself.  The tree
        and the clusters are, for the entropy, of the memberships averaged over draws;
        for the ridgeline, where averaged parameters would be of no mixture, of one
        draw: of those with the most probable number of clusters, that of highest ``lp``.

    Raises
    ------
    FitError, SpecError
        For what is no fit, and for an option that is not valid.

    References
    ----------
    Hennig (2010), Methods for merging Gaussian mixture components, Advances in Data
    Analysis and Classification 4.

    Baudry, Raftery, Celeux, Lo and Gottardo (2010), Combining mixture components for
    clustering, J. Computational and Graphical Statistics 19.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit(bg.MixtureSpec(3), bg.datasets.faithful(), method="em", seed=1)
    >>> bg.merge_components(em)
    Merging by ridgeline ratio (Hennig 2010), down to 0.2
    3 components in 2 clusters, at the point estimate
      cluster 0: components 0, 1; 97 rows
      cluster 1: component 2; 175 rows
    """
    fit = require_fit(fit, "merge_components")
    by, threshold = one_of(*_PAPERS)("by", by), optional(SHARE)("threshold", threshold)
    max_draws, cores = LIMIT("max_draws", max_draws), available_cores(cores)
    if fit.spec.noise:
        raise FitError(
            "merge_components is for components alone, and this fit has noise; fit without."
        )
    used = evenly_spaced(int(np.prod(fit.parameters.batch_shape)), max_draws)
    if by == "entropy":
        return _by_entropy(fit, threshold, used, cores)
    threshold = RIDGELINE_THRESHOLD if threshold is None else threshold
    return _by_ridgeline(fit, threshold, used, cores)


class _Tree(NamedTuple):
    """All merges of one mixture, of which the first ``taken`` are made."""

    pairs: NDArray[np.int64]
    empty: NDArray[np.bool_]
    taken: int
    values: dict[str, NDArray[np.float64]]  # columns of the table


def _by_ridgeline(
    fit: MixtureFit, threshold: float, used: NDArray[np.int64], cores: int
) -> Merging:
    draws, k = fit.parameters.flat()[used], fit.spec.n_components
    rows, forms = draws.with_rows(fit.observations)

    def empty_in(form: PrecisionForm) -> NDArray[np.bool_]:
        shares = row_memberships(rows, form)
        return empty_columns(shares, fit.observations.row_weights)

    with one_blas_thread():
        empty = np.stack(thread_map(empty_in, forms, cores))
    pairs, ratios = ridgeline_trees(draws, empty, cores)
    forced = np.arange(k - 1) < empty.sum(axis=1)[:, None]
    taken = np.logical_and.accumulate(forced | (ratios >= threshold), axis=1).sum(axis=1)
    numbers = k - taken
    commonest = numbers == np.bincount(numbers).argmax()
    lp = fit.statistics["lp"].values.reshape(-1)[used]
    best = int(np.argmax(np.where(commonest, lp, -np.inf)))
    chain, draw = divmod(int(used[best]), fit.parameters.batch_shape[1])
    shown = f"in draw {draw} of chain {chain}" if fit.is_posterior else _POINT
    values = {"ratio": np.append(np.nan, ratios[best])}
    tree = _Tree(pairs[best], forced[best], int(taken[best]), values)
    shares = row_memberships(rows, forms[best])
    return _merging(fit, "ridgeline", threshold, tree, shares, numbers, shown)


def _by_entropy(
    fit: MixtureFit, threshold: float | None, used: NDArray[np.int64], cores: int
) -> Merging:
    weights, k = fit.observations.row_weights, fit.spec.n_components
    rows, forms = fit.parameters.flat()[used].with_rows(fit.observations)

    def merged(shares: NDArray[np.float64]) -> _Tree:
        pairs, entropy, merged_rows, n_empty = entropy_tree(shares, weights)
        drop = -np.diff(entropy) / np.maximum(merged_rows, 1e-300)
        values = {
            "entropy": entropy,
            "merged_rows": np.append(0.0, merged_rows),
            "drop_per_row": np.append(np.nan, np.where(merged_rows > 0, drop, 0.0)),
        }
        taken = chosen_merges(entropy, merged_rows, n_empty, threshold)
        return _Tree(pairs, np.arange(k - 1) < n_empty, taken, values)

    def number(form: PrecisionForm) -> int:  # one draw at a time: no draws x N x K array
        return k - merged(row_memberships(rows, form)).taken

    with one_blas_thread():
        numbers = np.array(thread_map(number, forms, cores))
    averaged = fit.predict_proba().values
    shown = "by memberships averaged over draws" if fit.is_posterior else _POINT
    return _merging(fit, "entropy", threshold, merged(averaged), averaged, numbers, shown)


def _merging(
    fit: MixtureFit, by: str, threshold: float | None, tree: _Tree,
    shares: NDArray[np.float64], numbers: NDArray[np.int64], shown: str,
) -> Merging:  # fmt: skip
    """The first merges of a tree made, and everything labelled."""
    import pandas as pd

    k = shares.shape[1]
    groups: dict[int, tuple[int, ...]] = {i: (i,) for i in range(k)}
    merged: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), ())]
    cluster = np.arange(k)
    for step, (i, j) in enumerate(tree.pairs.tolist()):
        merged.append((groups[i], groups[j]))
        groups[i] = tuple(sorted(groups[i] + groups[j]))
        if step < tree.taken:
            cluster[list(groups[i])] = i
    cluster = np.unique(cluster, return_inverse=True)[1]  # each goes by its first component
    first, second = zip(*merged, strict=True)
    table = pd.DataFrame(
        {
            "first": first,
            "second": second,
            **tree.values,
            "empty": np.append(False, tree.empty),
            "taken": np.arange(k) <= tree.taken,
        },
        index=pd.RangeIndex(k, 0, -1, name="clusters"),
    )
    soft = shares @ np.eye(cluster.max() + 1)[cluster]
    labels = soft.argmax(axis=1)
    found, counts = np.unique(numbers, return_counts=True)
    index = pd.Index(found, name="clusters")
    sizes = np.bincount(labels, fit.observations.row_weights, soft.shape[1])
    names = {"component": np.arange(k), "cluster": np.arange(len(sizes))}
    coords = {"obs": fit.observations.index, **names}

    def labelled(values: NDArray[Any], name: str, *dims: str) -> xr.DataArray:
        return xr.DataArray(values, {dim: coords[dim] for dim in dims}, dims, name)

    return Merging(
        by,
        threshold,
        clusters=labelled(cluster, "cluster", "component"),
        labels=labelled(labels, "cluster", "obs"),
        memberships=labelled(soft, "memberships", "obs", "cluster"),
        table=table,
        n_clusters=pd.Series(counts / len(numbers), index, name="probability"),
        shown=shown,
        _sizes=tuple(sizes.tolist()),
    )
