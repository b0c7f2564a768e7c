"""Data sets that a fit would have produced, which are what its own data are held against.

If a model is right, data simulated from it look like the data that it was fitted to.  A
replicated data set has as many rows as the data and comes from one draw of the posterior,
so that replicated data differ from each other as much as the data could have differed
(Rubin 1984; Gelman, Meng and Stern 1996).  In ArviZ's layout they feed its pictures.

Of values recorded to r a fit has the covariance T = Sigma + r^2 / 12.  What is held against
them value by value comes from Sigma, and is rounded as they were.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.analysis.partitions.allocations import evenly_spaced
from bayesgmm.density.recording import without_recording
from bayesgmm.errors import DataError, FitError
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.structure import STRUCTURES
from bayesgmm.options import LIMIT, TRUTH, generator
from bayesgmm.result.fit import MixtureFit, require_fit
from bayesgmm.result.tree import LARGEST_POINTWISE

Floats = NDArray[np.float64]


def checkable(fit: Any, what: str) -> MixtureFit:
    """A fit whose data can be replicated, or a refusal in the name of ``what``."""
    fit = require_fit(fit, what)
    weights = fit.observations.row_weights
    if weights is not None and np.any(weights != 1):
        raise FitError(
            f"{what} holds the data against as many simulated rows, and row weights do not say "
            "how many rows there were; fit without row_weights, with a row that counts n times "
            "given n times."
        )
    if np.isnan(fit.observations.matrix).any():
        raise FitError(f"{what} needs complete rows, and some values are missing.")
    if not fit.observations.views.as_they_are:
        raise FitError(
            f"{what} holds the data against simulated rows, which have no errors of measurement, "
            "known labels or selection; fit without these to check it."
        )
    refuse_unknown_noise(fit, what)
    return fit


def refuse_unknown_noise(fit: MixtureFit, what: str) -> None:
    """Refuse a fit of whose noise nothing can be simulated, in the name of ``what``."""
    if fit.spec.noise and fit.noise_box is None:
        raise FitError(
            f"{what} simulates rows, and of this noise the density was given row by row; fit with "
            "a box, Observations(..., background=[low, high])."
        )


def before_recording(parameters: MixtureParameters, resolution: Floats) -> MixtureParameters:
    """The mixtures of values that were not yet recorded to ``resolution`` (D,)."""
    if not resolution.any():
        return parameters
    unit = parameters.scales.reshape(-1, parameters.n_features).max(axis=0)
    factors = without_recording(
        parameters.scale_tril / unit[:, None],
        (resolution / unit) ** 2 / 12,
        STRUCTURES["full"],
    )
    return replace(parameters, scale_tril=factors * unit[:, None])


def recorded(x: Floats, resolution: Floats, origin: Floats) -> Floats:
    """Values (..., D) rounded to the steps of each feature, ``origin`` (D,) being one of them."""
    steps = np.where(resolution > 0, resolution, 1.0)
    with np.errstate(over="ignore"):
        number = np.rint((x - origin) / steps)
    rounded = (resolution > 0) & np.isfinite(number)
    return np.where(rounded, origin + steps * np.where(rounded, number, 0.0), x)


def thinned(fit: MixtureFit, max_draws: int) -> tuple[MixtureParameters, NDArray[np.int64]]:
    """At most so many draws over all chains, batch (chain, draw), and which of each chain."""
    chains, draws = fit.parameters.batch_shape
    kept = evenly_spaced(draws, max(max_draws // chains, 1))
    return fit.parameters[:, kept], kept


def with_predictive(
    fit: MixtureFit,
    *,
    by_feature: bool = True,
    max_draws: int = 400,
    seed: Any = None,
) -> xr.DataTree:
    """The tree of a fit with replicated data, as ArviZ's predictive plots take it.

    ``arviz.plot_ppc_dist``, ``plot_ppc_tstat``, ``plot_ppc_pit``, ``plot_loo_pit`` and
    ``loo_pit`` then work as they are, with a panel for each feature.

    Parameters
    ----------
    fit : MixtureFit
        By any method; a point fit gives one replicated data set.
    by_feature : bool, default True
        A variable for each feature, named like it, in ``posterior_predictive``,
        ``observed_data`` and ``log_likelihood`` (where each is the row's, so that leaving
        a value out leaves out its row).  False gives one ``x`` (chain, draw, obs, feature) and
        ``component`` (chain, draw, obs); of that ArviZ needs to be told
        ``var_names="x", cols=["feature"]``, or it draws all features in one panel.
    max_draws : int, default 400
        Draws over all chains that are kept, evenly spaced, in every group; fewer where
        the replicated data would have more than 25 million values (200 MB).
    seed : int, SeedSequence or Generator, optional

    Returns
    -------
    xarray.DataTree
        A new one; the fit keeps its own.

    Raises
    ------
    DataError
        If a feature has a name that no variable can have.
    FitError
        For row weights, since nothing says how many rows a replicated data set has.

    References
    ----------
    Rubin (1984), Bayesianly justifiable and relevant frequency calculations for the
    applied statistician, Annals of Statistics 12.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.analysis.checks.replicated_data import with_predictive
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> tree = with_predictive(fit, max_draws=100, seed=1)
    >>> dict(tree["posterior_predictive"]["waiting"].sizes)
    {'chain': 1, 'draw': 100, 'obs': 272}
    """
    checkable(fit, "with_predictive")
    by_feature, max_draws = TRUTH("by_feature", by_feature), LIMIT("max_draws", max_draws)
    rng = generator(seed)
    names = fit.feature_names
    if by_feature:
        refuse_names(fit.feature_names)
    size = fit.observations.matrix.size
    parameters, kept = thinned(fit, min(max_draws, max(LARGEST_POINTWISE // size, 1)))
    groups = {name: group.to_dataset() for name, group in fit.tree.children.items()}
    for name, group in groups.items():
        if "draw" in group.dims:
            groups[name] = group.isel(draw=kept)
    x, component = parameters.simulate(fit.observations.n_rows, seed=rng)
    observed, rows = groups["observed_data"], ("chain", "draw", "obs")
    made = xr.Dataset(
        {"x": ((*rows, "feature"), x), "component": (rows, component)},
        coords={
            **{name: groups["posterior"][name] for name in ("chain", "draw")},
            "obs": observed["obs"],
            "feature": list(names),
        },
    )
    if by_feature:
        made, groups["observed_data"] = (
            variables_by_feature(made["x"]),
            variables_by_feature(observed["x"]),
        )
        if "log_likelihood" in groups:
            pointwise = groups["log_likelihood"]["x"]
            groups["log_likelihood"] = xr.Dataset(dict.fromkeys(names, pointwise))
    groups["posterior_predictive"] = made
    tree = xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})
    tree.attrs = dict(fit.tree.attrs)
    return tree


def variables_by_feature(values: xr.DataArray) -> xr.Dataset:
    """A variable (..., obs) for each feature, named like it."""
    return xr.Dataset(
        {str(name): values.sel(feature=name, drop=True) for name in values["feature"].values}
    )


def refuse_names(names: tuple[str, ...]) -> None:
    """Refuse features whose names no variable of a tree can have."""
    taken = next(
        (name for name in names if name in ("chain", "draw", "obs") or "/" in name),
        None,
    )
    if taken is not None:
        raise DataError(
            f"No variable of the tree can be named {taken!r}, as a feature is; rename the feature "
            "before fitting, or use by_feature=False.",
            column=taken,
        )
