"""What a tree must hold to be a fit: a file that was written by anyone is believed in nothing.

A digest tells accidents.  Whoever changes a file can make the digest anew, so all that other
code takes for granted is checked as well: groups, dimensions, types, and that the parameters are
a mixture and the rows can be rows.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.methods import METHODS
from bayesgmm.mixture.noise import Noise
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import numeric_array
from bayesgmm.result.record import FitRecord
from bayesgmm.result.status import Status
from bayesgmm.result.store_entry import Refused

_REQUIRED = {"posterior", "sample_stats", "fit"}
_GROUPS = _REQUIRED | {"observed_data", "constant_data", "log_likelihood"}
_FIRST = ("chain", "draw")
_VECTOR = (*_FIRST, "component", "feature")
_POSTERIOR = {
    "weights": (*_FIRST, "component"),
    "means": _VECTOR,
    "scales": _VECTOR,
    "correlations": (*_VECTOR, "feature_bis"),
    "covariances": (*_VECTOR, "feature_bis"),
}
_SCALARS = {"log_likelihood", "n_parameters", "n_rows", "total_weight", "status"}
_GIVEN = {
    "names", "columns", "resolution", "missing", "row_weights", "labels", "errors", "background",
    "selection",
}  # fmt: skip
#: Relative difference to rounding, also of what was kept with the digits of another machine.
_ROUNDING = 1e-6


def require_fit_in(fit: FitRecord) -> None:
    """Refuse a tree that is none of a fit with this spec.

    Raises
    ------
    Exception
        Whatever the first thing that is wrong leads to.
    """
    tree, spec = fit.tree, fit.spec
    names = set(tree.children)
    if tree.to_dataset().variables or names - _GROUPS:
        raise Refused(f"it has {next(iter(names - _GROUPS), 'values')!r} beside a fit's groups")
    if missing := sorted(_REQUIRED - names):
        raise Refused(f"it has no group {missing[0]!r}")
    for name, group in tree.children.items():
        if group.children:
            raise Refused(f"the group {name!r} has groups of its own")
    if tree.attrs.get("method") not in METHODS:
        raise Refused(f"there is no method {tree.attrs.get('method')!r:.60}")
    groups = {name: group.to_dataset() for name, group in tree.children.items()}
    _require_posterior(groups["posterior"], spec)
    _require_statistics(groups["sample_stats"], groups["posterior"].sizes, spec)
    _require_facts(groups["fit"], groups["posterior"], spec)
    if "rows" in tree.attrs or "data" in tree.attrs or "observed_data" not in groups:
        _require_told(tree.attrs)
    else:
        _require_rows(groups, fit)
    if spec.noise and fit.noise_box is not None:
        _require_box(numeric_array("noise_box", fit.noise_box), len(fit.feature_names))
    _require_mixture(groups["posterior"], fit)


def _require_posterior(posterior: xr.Dataset, spec: MixtureSpec) -> None:
    wanted = {**_POSTERIOR, **({"noise_weight": _FIRST} if spec.noise else {})}
    for name, dims in wanted.items():
        _require(posterior, name, dims, "f")
    sizes = posterior.sizes
    if sizes["component"] != spec.n_components:
        raise Refused(f"it has {sizes['component']} components and its spec {spec.n_components}")
    if not sizes["chain"] * sizes["draw"]:
        raise Refused("it has no draws")
    features = [_texts(posterior, name) for name in ("feature", "feature_bis")]
    if features[0] != features[1] or len(set(features[0])) < len(features[0]) or not features[0]:
        raise Refused("its features have no names of their own")


def _require_mixture(posterior: xr.Dataset, fit: FitRecord) -> None:
    """That scales and correlations are of covariances, and all of a mixture."""
    scales, correlations = posterior["scales"].values, posterior["correlations"].values
    if not (np.all(np.isfinite(scales)) and np.all(scales > 0)):
        raise Refused("scales must be finite and positive")
    eye = np.eye(scales.shape[-1])
    sound = (
        np.all(np.isfinite(correlations))
        and np.all(np.abs(correlations - np.swapaxes(correlations, -1, -2)) <= _ROUNDING)
        and np.all(np.abs(np.diagonal(correlations, axis1=-2, axis2=-1) - 1) <= _ROUNDING)
    )
    if not sound:
        raise Refused("correlations are none")
    try:
        np.linalg.cholesky(correlations + _ROUNDING * eye)
    except np.linalg.LinAlgError:
        raise Refused("a covariance matrix is not positive definite") from None
    shares = posterior["covariances"].values / scales[..., None] / scales[..., None, :]
    if not np.all(np.abs(shares - correlations) <= _ROUNDING):
        raise Refused("its covariances are not those of its scales and correlations")
    _ = fit.parameters  # which are checked where they are made


def _require_statistics(statistics: xr.Dataset, sizes: Any, spec: MixtureSpec) -> None:
    for name, variable in statistics.data_vars.items():
        if variable.dims[:2] != _FIRST or variable.dtype.kind not in "biuf":
            raise Refused(f"sample_stats has {str(name)!r} that is no number of each draw")
    if any(statistics.sizes.get(name) != sizes[name] for name in _FIRST):
        raise Refused("sample_stats are of other draws")
    if "lp" not in statistics or statistics["lp"].dims != _FIRST:
        raise Refused("sample_stats has no lp")
    if np.isnan(statistics["lp"].values).any():
        raise Refused("lp is not a number")
    if "permutation" in statistics:
        order = np.sort(statistics["permutation"].values, axis=-1)
        if order.shape[2:] != (spec.n_components,) or (order != np.arange(order.shape[-1])).any():
            raise Refused("a permutation of labels is none")


def _require_facts(facts: xr.Dataset, posterior: xr.Dataset, spec: MixtureSpec) -> None:
    for name, variable in facts.data_vars.items():
        if variable.dtype.kind not in "biufUTO" or not _all_texts(variable.values):
            raise Refused(f"{str(name)!r} is neither a number nor a text")
    if missing := sorted(_SCALARS - set(map(str, facts.data_vars))):
        raise Refused(f"it does not say its {missing[0]}")
    found = {name: facts[name].item() for name in _SCALARS}  # which is of one value alone
    Status(found["status"])
    for name in _SCALARS - {"status"}:
        if not np.isfinite(found[name]):
            raise Refused(f"its {name} is not a number")
    if found["n_parameters"] != spec.n_parameters(posterior.sizes["feature"]):
        raise Refused("its n_parameters is not that of its spec")
    if not (found["n_rows"] >= 1 and found["total_weight"] > 0):
        raise Refused("it has no rows")
    if "mode_share" in facts:
        weights, means, tril = (
            facts[f"mode_{name}"].values for name in ("weights", "means", "scale_tril")
        )
        noise = Noise(facts["mode_noise_weight"].values, None) if spec.noise else None
        modes = MixtureParameters(weights, means, tril, noise)
        n = facts["mode_share"].size
        wanted = (n, spec.n_components, posterior.sizes["feature"])
        shapes = {facts[f"mode_{name}"].shape for name in ("log_density", "laplace_share", "share")}
        if modes.means.shape != wanted or shapes != {(n,)}:
            raise Refused("its modes are of another mixture")


def _require_rows(groups: dict[str, xr.Dataset], fit: FitRecord) -> None:
    """That the rows can be rows, and that they are those of which the rest speaks."""
    x = groups["observed_data"]
    _require(x, "x", ("obs", "feature"), "f")
    if tuple(_texts(x, "feature")) != fit.feature_names:
        raise Refused("its rows have other features")
    for name in ("constant_data", "log_likelihood"):
        group = groups.get(name)
        if group is not None and group.sizes.get("obs", x.sizes["obs"]) != x.sizes["obs"]:
            raise Refused(f"{name!r} is of another number of rows")
    if "log_likelihood" in groups:
        _require(groups["log_likelihood"], "x", (*_FIRST, "obs"), "f")
        values = groups["log_likelihood"]["x"]
        if values.shape[:2] != fit.tree["posterior"].to_dataset()["weights"].shape[:2]:
            raise Refused("'log_likelihood' is of other draws")
        if np.isnan(values.values).any():
            raise Refused("the log-likelihood of a row is not a number")
    for known_of, variable in groups.get("constant_data", xr.Dataset()).data_vars.items():
        if variable.dtype.kind not in "biuf":
            raise Refused(f"{str(known_of)!r} is no number")
    rows = fit.observations  # which checks what it is given
    known = int(fit.fact("n_rows")), float(fit.fact("total_weight"))
    if not np.allclose(known, (rows.n_rows, rows.total_weight), rtol=_ROUNDING, atol=0):
        raise Refused("it speaks of another number of rows than it has")
    if not np.isclose(fit.telling_weight, rows.telling_weight, rtol=_ROUNDING, atol=0):
        raise Refused("it speaks of another number of rows that tell than it has")


def _require_told(attributes: dict[Any, Any]) -> None:
    """What is told of rows that are not with the fit."""
    told = json.loads(attributes["rows"])
    if not (
        told["missing"] in (None, "marginal")
        and isinstance(told["n_unseen"], int)
        and isinstance(told["recorded"], str)
        and isinstance(told["seen"], str)
    ):
        raise Refused("what it says of its rows is nothing that is said of rows")
    if "data" in attributes:
        data = json.loads(attributes["data"])
        address = data["address"]
        if not (
            isinstance(data["description"], str)
            and isinstance(data["n_rows"], int)
            and isinstance(data["given"], dict)
            and data["given"].keys() <= _GIVEN
            and (address is None or isinstance(address, dict))
        ):
            raise Refused("what it says of where its rows are cannot be read")


def _require_box(box: NDArray[np.float64], n_features: int) -> None:
    if box.shape != (2, n_features) or not np.all(box[0] < box[1]):
        raise Refused("the box of its noise is none")


def _require(group: xr.Dataset, name: str, dims: tuple[str, ...], kind: str) -> None:
    if name not in group.data_vars:
        raise Refused(f"it has no {name!r}")
    variable = group[name]
    if variable.dims != dims or variable.dtype.kind not in kind:
        raise Refused(f"{name!r} has other dimensions or values than a fit's")


def _texts(group: xr.Dataset, name: str) -> list[str]:
    if name not in group.variables or not _all_texts(group[name].values):
        raise Refused(f"{name!r} has no names")
    return [str(value) for value in group[name].values]


def _all_texts(values: NDArray[Any]) -> bool:
    """Whether objects are texts, and such that can be written."""
    if values.dtype.kind in "UTO":
        for value in values.ravel():
            if not isinstance(value, str):
                return False
            value.encode()
    return True
