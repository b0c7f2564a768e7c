"""Another labelling for the draws of a fit."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores
from bayesgmm.density.exchangeable import by_means, exchangeable
from bayesgmm.errors import FitError, SpecError
from bayesgmm.inference.convergence import VERDICTS, assess
from bayesgmm.inference.labels.matching import by_ecr, by_order, by_stephens, highest, to_pivot
from bayesgmm.interrupts import whole_imports
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.options import one_of, shown
from bayesgmm.result.fit import MixtureFit, require_fit

Method = Literal["pivot", "ecr", "stephens", "order", "none"]


@whole_imports
def relabel(
    fit: MixtureFit,
    method: Method = "pivot",
    *,
    pivot: MixtureFit | None = None,
    by: Literal["weights", "means", "scales"] = "means",
    feature: Any = None,
    cores: int | None = None,
) -> MixtureFit:
    """The same draws under another labelling of their components.

    Components whose labels are known, or whose priors differ, keep them: only exchangeable ones
    are relabelled.  NUTS and Laplace fits come relabelled by ``"pivot"``.  Densities, memberships
    summed over components, partitions and criteria do not depend on labels; tables
    and averages by component do.

    Parameters
    ----------
    fit : MixtureFit
    method : {"pivot", "ecr", "stephens", "order", "none"}
        ``"pivot"``: each component goes to that of the pivot whose rows it explains
        best, by Kullback-Leibler divergence; it costs no pass over the rows.
        ``"ecr"``: the labelling under which most rows are expected to be where the
        pivot puts them (Papastamoulis and Iliopoulos 2010).
        ``"stephens"``: memberships as near as can be, in Kullback-Leibler divergence,
        to their own average (Stephens 2000); on more than 2,000 rows it looks at 2,000
        of them, evenly spaced.
        ``"order"``: components in increasing order of ``by``.
        ``"none"``: as the sampler drew them.
    pivot : MixtureFit, optional
        A point fit with as many components; by default the draw of highest posterior
        density.
    by, feature
        What ``"order"`` sorts by: ``"weights"``, or ``"means"`` or ``"scales"`` of a
        feature (its name; the first by default).
    cores : int, optional
        Threads; all that may be used by default.

    Returns
    -------
    MixtureFit
        With ``sample_stats/permutation`` from the sampler's labels to these, the group
        ``fit``'s ``ambiguous`` (the share of draws of which two labels could be
        exchanged at odds of less than 20 to 1), its verdict and its status.

    Raises
    ------
    FitError
        For a point fit, or a pivot of another number of components or features.
    SpecError
        If an option is not valid.

    References
    ----------
    Papastamoulis and Iliopoulos (2010), An artificial allocations based solution to
    the label switching problem, J. Computational and Graphical Statistics 19.
    Stephens (2000), Dealing with label switching in mixture models, JRSS B 62.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> by_weight = bg.relabel(fit, "order", by="weights")
    >>> bool((by_weight.parameters.weights[..., 0] <= by_weight.parameters.weights[..., 1]).all())
    True
    """
    fit = require_fit(fit, "relabel")
    one_of(*get_args(Method))("method", method)
    one_of("weights", "means", "scales")("by", by)
    name = None if feature is None else str(feature)
    if name is not None and name not in fit.feature_names:
        raise SpecError(
            f"There is no feature {shown(feature)}; there are {', '.join(fit.feature_names)}."
        )
    threads = available_cores(cores)
    if not fit.is_posterior:
        raise FitError("This fit is one point, whose labels need no agreement with others'.")
    statistics = fit.statistics
    total = statistics["permutation"].values
    raw = fit.parameters.permute(np.argsort(total, axis=-1))
    reference = highest(raw, statistics["lp"].values) if pivot is None else _point(pivot, fit)
    # As from the sampler: the pivot's components by the mean of the first feature.
    data, groups = fit.observations, exchangeable(fit.spec, fit.observations)
    reference = reference.permute(by_means(reference.means, groups))
    match = to_pivot(raw, reference, data.total_weight, groups=groups)
    if method == "none":
        permutation = np.broadcast_to(np.arange(fit.spec.n_components), total.shape)
    elif method == "order":
        permutation = by_order(raw, by, name, fit.feature_names, groups)
    else:
        permutation = match.permutation
        if method == "ecr":
            permutation = by_ecr(raw, reference, data, groups, threads)
        elif method == "stephens":
            permutation = by_stephens(raw, permutation, data, groups, threads)
    permutation = np.asarray(permutation)
    lp = statistics["lp"].values
    drawn = raw.permute(permutation)
    found = assess(drawn, lp, match.ambiguous, data)
    facts: dict[str, Any] = {"ambiguous": found.ambiguous}
    if fit.method != "laplace":  # whose verdict is its k-hat, which labels do not touch
        facts = found.facts()
        if fit.status in VERDICTS:
            facts["status"] = found.status(fit.fact("n_modes", 1)).value
    if "mode_share" in fit.facts:  # whose labels are those of the highest draw as well
        order = _mode_labels(fit, highest(drawn, lp), groups)
        for name in ("mode_weights", "mode_means", "mode_scale_tril"):
            value = fit.facts[name]
            index = order.reshape(order.shape + (1,) * (value.ndim - 2))
            facts[name] = (value.dims, np.take_along_axis(value.values, index, axis=1))
    return fit.relabelled(permutation, {**facts, "relabelled_by": method})


def _mode_labels(
    fit: MixtureFit, pivot: MixtureParameters, groups: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Orders (mode, K) in which the components of each mode are nearest to a mixture's."""
    modes = [fit.mode(i).flat() for i in range(fit.facts.sizes["mode"])]
    return np.concatenate([to_pivot(mode, pivot, groups=groups).permutation for mode in modes])


def _point(pivot: MixtureFit, fit: MixtureFit) -> MixtureParameters:
    if require_fit(pivot, "relabel's pivot").is_posterior:
        raise FitError("The pivot holds draws; give a point fit, by method='map' or 'em'.")
    has = (pivot.spec.n_components, pivot.feature_names)
    if has != (fit.spec.n_components, fit.feature_names):
        raise FitError("The pivot has other components or features than the fit; refit it alike.")
    return pivot.parameters[0, 0]
