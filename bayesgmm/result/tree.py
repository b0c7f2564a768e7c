"""How a fit is laid out: one xarray tree for every method, in ArviZ's conventions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import bayesgmm
from bayesgmm.data.observations import Observations
from bayesgmm.data.reopening import said
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.result.status import Status
from bayesgmm.result.store import FORMAT

#: Entries of a pointwise log-likelihood that a tree holds at most (200 MB).
LARGEST_POINTWISE = 25_000_000


def lay_out(
    spec: MixtureSpec,
    observations: Observations,
    parameters: MixtureParameters,
    *,
    method: str,
    status: Status,
    sample_stats: Mapping[str, NDArray[Any]],
    facts: Mapping[str, Any],
    seed: Any,
    cores: int | None,
    log_likelihood: NDArray[np.float64] | None,
) -> xr.DataTree:
    """The tree of a fit; see :meth:`MixtureFit.build` for the arguments."""
    names, (chains, draws) = list(observations.names), parameters.batch_shape
    posterior = posterior_group(parameters, names)
    coords, first = posterior.coords, ("chain", "draw")
    groups = {
        "posterior": posterior,
        "sample_stats": xr.Dataset(
            {
                name: ((*first, "component")[: np.ndim(value)], value)
                for name, value in sample_stats.items()
            },
            coords={name: coords[name] for name in first},
        ),
    }
    if observations.stored is None:
        rows = {"obs": observations.index}
        groups["observed_data"] = xr.Dataset(
            {"x": (("obs", "feature"), observations.values)},
            coords={**rows, "feature": names},
        )
        if chains * draws * observations.n_rows <= LARGEST_POINTWISE:
            pointwise = parameters.log_density(observations, cores=cores)
            weights = observations.row_weights
            log_likelihood = pointwise.sum(axis=-1) if weights is None else pointwise @ weights
            groups["log_likelihood"] = xr.Dataset(
                {"x": ((*first, "obs"), pointwise)},
                coords={**{name: coords[name] for name in first}, **rows},
            )
    if log_likelihood is None:
        log_likelihood = parameters.log_likelihood(observations, cores=cores)
    if constant := constant_variables(observations, spec):
        known: dict[str, Any] = {"feature": names, "feature_bis": names}
        if observations.stored is None:
            known["obs"] = observations.index
        used = {str(dim) for variable in constant.values() for dim in variable.dims}
        groups["constant_data"] = xr.Dataset(
            constant, coords={name: known[name] for name in known if name in used}
        )
    scalars = {
        "log_likelihood": float(log_likelihood.mean()),
        "n_parameters": spec.n_parameters(observations.n_features),
        "n_rows": observations.n_rows,
        "total_weight": observations.total_weight,
        "telling_weight": observations.telling_weight,
        "status": status.value,
        **({} if observations.sample_of is None else {"sample_of": observations.sample_of}),
        **facts,
    }
    groups["fit"] = xr.Dataset(
        {
            name: value
            if isinstance(value, xr.Variable) or np.ndim(value) == 0
            else (name + "_dim", np.asarray(value))
            for name, value in scalars.items()
        }
    )
    tree = xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})
    tree.attrs = {
        "bayesgmm_format": FORMAT,
        "bayesgmm_version": bayesgmm.__version__,
        "spec": spec.to_json(),
        "method": method,
        "seed": repr(seed),
    }
    if observations.stored is not None:
        tree.attrs["data"] = said(observations)
        tree.attrs["rows"] = json.dumps(told_of_rows(observations))
    elif observations.missing and not observations.has_holes:  # which the rows do not show
        tree.attrs["missing"] = observations.missing
    return tree


def told_of_rows(observations: Observations) -> dict[str, Any]:
    """What a fit is printed with, and reads new rows by, where it has no rows of its own."""
    return {
        "missing": observations.missing,
        "n_unseen": observations.n_unseen,
        "recorded": observations.recorded(),
        "seen": observations.how_seen(),
    }


def without_rows(tree: xr.DataTree, *, data: bool, log_likelihood: bool) -> xr.DataTree:
    """The tree without its data, or without the log-likelihood of each row, or as it is."""
    groups = {name: group.to_dataset() for name, group in tree.children.items()}
    if not data:
        groups.pop("observed_data", None)
        if "constant_data" in groups:
            groups["constant_data"] = groups["constant_data"].drop_dims("obs", errors="ignore")
            if not groups["constant_data"].data_vars:
                del groups["constant_data"]
    if not log_likelihood:
        groups.pop("log_likelihood", None)
    other = xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})
    other.attrs = dict(tree.attrs)
    return other


def constant_variables(observations: Observations, spec: MixtureSpec) -> dict[str, xr.Variable]:
    """What is known of the rows beside their values; of stored rows the box of noise alone."""
    if observations.stored is not None:
        box = observations.noise_box() if spec.noise else None
        return {} if box is None else {"noise_box": xr.Variable(("bound", "feature"), box)}
    views = observations.views
    dims = {
        "row_weights": ("obs",),
        "resolution": ("feature",),
        "errors": ("obs", "feature", "feature_bis"),
        "labels": ("obs",),
        "allowed": ("obs", "class"),
        "selection": ("bound", "feature"),
    }
    found: dict[str, Any] = {name: getattr(views, name, None) for name in dims}
    found["row_weights"] = observations.row_weights
    if observations.resolution.any():
        found["resolution"] = observations.resolution
    constant = {
        name: xr.Variable(dims[name][: value.ndim], value)
        for name, value in found.items()
        if value is not None
    }
    if "allowed" in constant:
        constant["allowed"] = constant["allowed"].astype(np.int8)  # files have no truth values
    background = views.background
    if background is None and spec.noise:
        background = observations.noise_box()
    if background is not None:
        one = background.ndim == 1
        name, dim = ("background", ("obs",)) if one else ("noise_box", ("bound", "feature"))
        constant[name] = xr.Variable(dim, background)
    return constant


def posterior_group(parameters: MixtureParameters, names: list[str]) -> xr.Dataset:
    """The group of parameters of batch shape (chain, draw)."""
    chains, draws = parameters.batch_shape
    first, features = ("chain", "draw"), ("component", "feature")
    square = (*first, *features, "feature_bis")
    noise = parameters.noise
    return xr.Dataset(
        {
            "weights": ((*first, "component"), parameters.weights),
            **({} if noise is None else {"noise_weight": (first, noise.weight)}),
            "means": ((*first, *features), parameters.means),
            "scales": ((*first, *features), parameters.scales),
            "correlations": (square, parameters.correlations),
            "covariances": (square, parameters.covariances),
        },
        coords={
            "chain": np.arange(chains),
            "draw": np.arange(draws),
            "component": np.arange(parameters.n_components),
            "feature": names,
            "feature_bis": names,
        },
    )


def relabelled(
    tree: xr.DataTree,
    parameters: MixtureParameters,
    permutation: NDArray[np.int64],
    facts: Mapping[str, Any],
) -> xr.DataTree:
    """The tree with its components in another order; see :meth:`MixtureFit.relabelled`."""
    statistics = tree.children["sample_stats"].to_dataset()
    raw = parameters.permute(np.argsort(statistics["permutation"].values, axis=-1))
    names = list(tree.children["posterior"].to_dataset()["feature"].values)
    other = with_groups(
        tree,
        {
            "posterior": posterior_group(raw.permute(permutation), names),
            "sample_stats": statistics.assign(
                permutation=(("chain", "draw", "component"), permutation)
            ),
        },
    )
    return with_facts(other, facts)


def with_facts(tree: xr.DataTree, facts: Mapping[str, Any]) -> xr.DataTree:
    """The tree with more, or other, variables in its group ``fit``."""
    return with_groups(tree, {"fit": tree.children["fit"].to_dataset().assign(dict(facts))})


def with_groups(tree: xr.DataTree, changed: Mapping[str, xr.Dataset]) -> xr.DataTree:
    """The tree with other groups in the place of some of its own."""
    groups = {name: group.to_dataset() for name, group in tree.children.items()} | dict(changed)
    other = xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})
    other.attrs = tree.attrs
    return other


def free_parameters(posterior: xr.Dataset, spec: MixtureSpec) -> xr.Dataset:
    """A posterior group without what repeats or is constant, for tables."""
    kept = posterior[["weights", "means", "scales"][spec.n_components == 1 and not spec.noise :]]
    if spec.noise:
        kept = kept.assign(noise_weight=posterior["noise_weight"])
    names = [str(name) for name in posterior["feature"].values]
    if not spec.structure.matrices or len(names) == 1:
        return kept
    first, second = np.triu_indices(len(names), 1)
    pairs = posterior["correlations"].isel(
        feature=xr.DataArray(first, dims="pair"), feature_bis=xr.DataArray(second, dims="pair")
    )
    labels = [f"{names[i]}, {names[j]}" for i, j in zip(first, second, strict=True)]
    pairs = pairs.drop_vars(["feature", "feature_bis"]).assign_coords(pair=labels)
    return kept.assign(correlations=pairs)
