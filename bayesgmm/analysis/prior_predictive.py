"""What a spec says before it has seen the data: draws of its prior, and rows as they come of it.

A prior on twenty numbers is judged by the data that it expects.  Draws are exact and take
no sampler, so that a prior is looked at in a moment, before anything is fitted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayesgmm.analysis.checks.replicated_data import refuse_names, variables_by_feature
from bayesgmm.data.observations import Observations
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.density.prior_draws import prior_draws
from bayesgmm.errors import SpecError
from bayesgmm.interrupts import whole_imports
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import COUNT, TRUTH, generator, refuse_beyond_memory, shown
from bayesgmm.result.fit import MixtureFit
from bayesgmm.result.tree import posterior_group, with_groups


@whole_imports
def prior_predictive(
    spec: MixtureSpec | MixtureFit,
    data: Any = None,
    *,
    draws: int = 500,
    by_feature: bool = True,
    seed: Any = None,
) -> xr.DataTree:
    """Draws of a spec's prior, and a data set from each, as ArviZ's prior plots take them.

    ``arviz.plot_prior_posterior`` and ``plot_ppc_dist(group="prior_predictive")`` take the
    tree as it is.  The priors of a spec are on the standardised scale of the data unless it
    says otherwise, so data are needed: of them only the centre, the scale, the number of rows
    and the step to which they were recorded are used.

    Parameters
    ----------
    spec : MixtureSpec or MixtureFit
        Of a fit its own spec and data are taken, and its groups stay beside the new ones.
    data : anything that Observations takes
        Needed with a spec, and not with a fit.
    draws : int, default 500
        Enough for pictures; more for tails.
    by_feature : bool, default True
        In ``prior_predictive`` and ``observed_data`` a variable for each feature, named like it;
        False gives one ``x`` (chain, draw, obs, feature), as :func:`with_predictive` does.
    seed : int, SeedSequence or Generator, optional

    Returns
    -------
    xarray.DataTree
        ``prior`` with the variables of a fit's ``posterior``, in the data's units (chain, draw,
        ...); ``prior_predictive``, rows without errors of measurement; ``observed_data``.

    Raises
    ------
    DataError, SpecError
        For bad data or options, and for more draws than memory holds.

    References
    ----------
    Gabry, Simpson, Vehtari, Betancourt and Gelman (2019), Visualization in Bayesian workflow,
    JRSS A 182.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> tree = bg.prior_predictive(bg.MixtureSpec(2), bg.datasets.faithful(), draws=100, seed=1)
    >>> dict(tree["prior"]["means"].sizes)
    {'chain': 1, 'draw': 100, 'component': 2, 'feature': 2}
    >>> sorted(tree["prior_predictive"].data_vars)
    ['eruptions', 'waiting']
    """
    draws, by_feature = COUNT("draws", draws), TRUTH("by_feature", by_feature)
    rng = generator(seed)
    own, observations, tree = _of(spec, data)
    if by_feature:
        refuse_names(observations.names)
    n, d = observations.n_rows, observations.n_features
    refuse_beyond_memory(
        f"{draws:,} data sets of {n:,} rows", 8.0 * draws * n * (d + 1), "ask for fewer draws"
    )
    density = LogPosterior(own, observations)
    parameters = density.constrain(prior_draws(density, draws, rng)[None])
    x, component = parameters.simulate(n, seed=rng)
    component = np.where(
        component == own.n_components, -1, component
    )  # noise, as in generated rows
    names = list(observations.names)
    prior = posterior_group(parameters, names)
    rows = ("chain", "draw", "obs")
    made = xr.Dataset(
        {"x": ((*rows, "feature"), x), "component": (rows, component)},
        coords={
            **{name: prior[name] for name in ("chain", "draw")},
            "obs": observations.index,
            "feature": names,
        },
    )
    observed = xr.Dataset(
        {"x": (("obs", "feature"), observations.values)},
        coords={"obs": observations.index, "feature": names},
    )
    if by_feature:
        made, observed = variables_by_feature(made["x"]), variables_by_feature(observed["x"])
    return with_groups(tree, {"prior": prior, "prior_predictive": made, "observed_data": observed})


def _of(spec: Any, data: Any) -> tuple[MixtureSpec, Observations, xr.DataTree]:
    """Model, data, and the groups that are there."""
    if isinstance(spec, MixtureFit):
        if data is not None:
            raise SpecError("data are given beside a fit, which has its own; leave them out.")
        return spec.spec, spec.observations, spec.tree
    if not isinstance(spec, MixtureSpec):
        raise SpecError(f"spec must be a MixtureSpec or a MixtureFit, got {shown(spec)}.")
    observations = data if isinstance(data, Observations) else Observations(data)
    return spec, observations, xr.DataTree()
