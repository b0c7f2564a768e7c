"""The one result of every method: a spec, an xarray tree and a status.

An EM fit is a posterior with one chain and one draw, so everything that takes a
fit takes any fit, and ArviZ's functions take the tree as it is.  Methods here
need nothing above this room; what does (diagnosis, comparison, plots) is a
function that takes a fit.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import bayesgmm
from bayesgmm.errors import DataError, FitError
from bayesgmm.model.observations import Observations, features_like
from bayesgmm.model.parallel import available_cores, one_blas_thread, thread_map
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.statistics import CHUNK, Rows, row_log_density
from bayesgmm.status import Status
from bayesgmm.store import FORMAT, read_tree, write_tree

#: Entries of a pointwise log-likelihood that a tree holds at most (200 MB).
LARGEST_POINTWISE = 25_000_000
_SHOWN_COMPONENTS = 12
_SHOWN_FEATURES = 4


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """A fitted mixture, by whatever method.

    Made by :func:`bayesgmm.fit` and :func:`bayesgmm.load`.  It is never mutated.

    Attributes
    ----------
    spec : MixtureSpec
    tree : xarray.DataTree
        Groups ``posterior``, ``sample_stats``, ``log_likelihood``,
        ``observed_data``, ``constant_data`` (row weights, where given) and
        ``fit`` (scalars), in ArviZ's conventions.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit(bg.MixtureSpec(n_components=2), bg.datasets.faithful(), method="em", seed=1)
    >>> em.status.ok, round(em.log_likelihood, 2), em.n_parameters
    (True, -1130.26, 11)
    """

    spec: MixtureSpec
    tree: xr.DataTree

    @classmethod
    def build(
        cls,
        spec: MixtureSpec,
        observations: Observations,
        parameters: MixtureParameters,
        *,
        method: str,
        status: Status,
        sample_stats: Mapping[str, NDArray[Any]],
        facts: Mapping[str, Any],
        seed: Any = None,
        cores: int | None = None,
    ) -> MixtureFit:
        """Lay out a fit.

        Parameters
        ----------
        parameters : MixtureParameters
            Batch shape (chain, draw), in the data's units.
        sample_stats : mapping of arrays of shape (chain, draw, ...)
        facts : mapping
            More variables of the group ``fit``: scalars, or one-dimensional
            arrays along a dimension of their own name.
        """
        chains, draws = parameters.batch_shape
        names, features = list(observations.names or ()), ("component", "feature")
        coords = {
            "chain": np.arange(chains),
            "draw": np.arange(draws),
            "component": np.arange(spec.n_components),
            "feature": names,
            "feature_bis": names,
        }
        first = ("chain", "draw")
        square = (*first, *features, "feature_bis")
        posterior = xr.Dataset(
            {
                "weights": ((*first, "component"), parameters.weights),
                "means": ((*first, *features), parameters.means),
                "scales": ((*first, *features), parameters.scales),
                "correlations": (square, parameters.correlations),
                "covariances": (square, parameters.covariances),
            },
            coords=coords,
        )
        rows = {"obs": observations.index}
        groups = {
            "posterior": posterior,
            "sample_stats": xr.Dataset(
                {
                    name: ((*first, "component")[: np.ndim(value)], value)
                    for name, value in sample_stats.items()
                },
                coords={name: coords[name] for name in first},
            ),
            "observed_data": xr.Dataset(
                {"x": (("obs", "feature"), observations.values)},
                coords={**rows, "feature": names},
            ),
        }
        if chains * draws * observations.n_rows <= LARGEST_POINTWISE:
            pointwise = parameters.log_density(observations.matrix, cores=cores)
            groups["log_likelihood"] = xr.Dataset(
                {"x": ((*first, "obs"), pointwise)},
                coords={**{name: coords[name] for name in first}, **rows},
            )
        if observations.row_weights is not None:
            groups["constant_data"] = xr.Dataset(
                {"row_weights": ("obs", observations.row_weights)}, coords=rows
            )
        scalars = {
            "log_likelihood": float(
                parameters.log_likelihood(
                    observations.matrix, observations.row_weights, cores=cores
                ).mean()
            ),
            "n_parameters": spec.n_parameters(observations.n_features),
            "n_rows": observations.n_rows,
            "total_weight": observations.total_weight,
            "status": status.value,
            **facts,
        }
        groups["fit"] = xr.Dataset(
            {name: value if np.ndim(value) == 0 else (name + "_dim", np.asarray(value))
             for name, value in scalars.items()}
        )
        tree = xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})
        tree.attrs = {
            "bayesgmm_format": FORMAT,
            "bayesgmm_version": bayesgmm.__version__,
            "spec": spec.to_json(),
            "method": method,
            "seed": repr(seed),
        }
        return cls(spec, tree)

    # What it is -----------------------------------------------------------

    @property
    def method(self) -> str:
        """``"em"``, ``"map"``, ``"laplace"`` or ``"nuts"``, as it was asked for."""
        return str(self.tree.attrs["method"])

    @property
    def status(self) -> Status:
        """How the fit ended."""
        return Status(str(self.tree["fit/status"].item()))

    @property
    def is_posterior(self) -> bool:
        """Whether the fit holds draws, rather than one point."""
        return self.parameters.batch_shape != (1, 1)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the D features."""
        return tuple(str(name) for name in self.tree["posterior/feature"].values)

    @cached_property
    def parameters(self) -> MixtureParameters:
        """All draws, batch shape (chain, draw); (1, 1) for a point estimate."""
        posterior = self.tree["posterior"]
        correlation = np.linalg.cholesky(posterior["correlations"].values)
        tril = posterior["scales"].values[..., None] * correlation
        return MixtureParameters(posterior["weights"].values, posterior["means"].values, tril)

    @cached_property
    def observations(self) -> Observations:
        """The data that were fitted."""
        data = self.tree["observed_data/x"]
        weights = None
        if "constant_data" in self.tree.children:
            weights = self.tree["constant_data/row_weights"].values
        return Observations(data, row_weights=weights)

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the data: at the point, or its mean over draws."""
        return float(self.tree["fit/log_likelihood"].item())

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        return int(self.tree["fit/n_parameters"].item())

    # Point criteria -------------------------------------------------------

    def _point(self, criterion: str) -> None:
        if self.is_posterior:
            raise FitError(
                f"{criterion} is defined at a point estimate, and this fit holds draws; use "
                "method='em', or bayesgmm.compare for elpd_loo."
            )

    def aic(self) -> float:
        """Akaike's criterion, -2 log L + 2 p; smaller is better (Akaike 1974)."""
        self._point("AIC")
        return -2 * self.log_likelihood + 2 * self.n_parameters

    def bic(self) -> float:
        """Schwarz's criterion, -2 log L + p log N; smaller is better (Schwarz 1978)."""
        self._point("BIC")
        n = float(self.tree["fit/total_weight"].item())
        return -2 * self.log_likelihood + self.n_parameters * float(np.log(n))

    def icl(self) -> float:
        """BIC plus twice the entropy of the memberships; smaller is better.

        Components that overlap cost, so it counts clusters rather than
        components (Biernacki, Celeux and Govaert 2000).
        """
        self._point("ICL")
        shares = self.predict_proba().values
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.where(shares > 0, shares * np.log(shares), 0.0).sum(axis=1)
        weights = self.observations.row_weights
        return self.bic() + 2 * float(entropy.sum() if weights is None else entropy @ weights)

    # Memberships and density ----------------------------------------------

    def predict_proba(self, data: Any = None, *, spread: bool = False) -> Any:
        """Membership probabilities, averaged over the draws.

        Parameters
        ----------
        data : anything that Observations takes, optional
            Rows with the fitted features; the fitted data where left out.
        spread : bool, default False
            Also return the standard deviation over draws: how sure the
            posterior is of each probability.

        Returns
        -------
        DataArray (obs, component), or a pair of them
        """
        rows = self._rows(data)
        forms, center = self.parameters.forms()
        shape = (rows.n_rows, self.spec.n_components)
        mean, square = np.zeros(shape), np.zeros(shape)
        chunks = [slice(i, i + CHUNK) for i in range(0, rows.n_rows, CHUNK)]

        def one(part: slice) -> None:  # a chunk at a time: no draws x N x K array is held
            scaled = Rows.of(rows.matrix[part], center)
            for form in forms:
                shares = row_log_density(scaled, form, memberships=True)[1]
                mean[part] += shares
                if spread:
                    square[part] += shares * shares

        with one_blas_thread():
            thread_map(one, chunks, available_cores(None))
        mean /= len(forms)
        labelled = self._label(mean, rows)
        if not spread:
            return labelled
        sd = np.sqrt(np.maximum(square / len(forms) - mean * mean, 0.0))
        return labelled, self._label(sd, rows)

    def predict(self, data: Any = None) -> xr.DataArray:
        """The most probable component of each row, from the averaged memberships."""
        return self.predict_proba(data).argmax("component")

    def score_samples(self, data: Any = None) -> xr.DataArray:
        """Log predictive density of each row: the log of the density's mean over draws."""
        rows = self._rows(data)
        forms, center = self.parameters.forms()
        out = np.empty(rows.n_rows)

        def one(part: slice) -> None:
            scaled = Rows.of(rows.matrix[part], center)
            total = np.full(len(scaled.values), -np.inf)
            for form in forms:
                np.logaddexp(total, row_log_density(scaled, form)[0], out=total)
            out[part] = total - np.log(len(forms))

        with one_blas_thread():
            thread_map(
                one,
                [slice(i, i + CHUNK) for i in range(0, rows.n_rows, CHUNK)],
                available_cores(None),
            )
        return xr.DataArray(out, dims="obs", coords={"obs": rows.index}, name="log_density")

    def generate(self, n: int, *, seed: Any = None) -> xr.Dataset:
        """New data from the fitted mixture: each row from a draw of its own.

        Returns
        -------
        Dataset
            ``x`` (sample, feature), ``component`` (sample) and ``draw`` (sample),
            the number of the posterior draw over all chains.
        """
        if n < 1:
            raise DataError(f"n must be at least 1, got {n}.")
        rng = np.random.default_rng(seed)
        flat = self.parameters.flat()
        draw = np.sort(rng.integers(len(flat.weights), size=n))
        x = np.empty((n, flat.n_features))
        component = np.empty(n, dtype=np.int64)
        used, starts = np.unique(draw, return_index=True)
        for s, begin, end in zip(used, starts, [*starts[1:], n], strict=True):
            x[begin:end], component[begin:end] = flat[int(s)].simulate(end - begin, seed=rng)
        order = rng.permutation(n)
        return xr.Dataset(
            {
                "x": (("sample", "feature"), x[order]),
                "component": ("sample", component[order]),
                "draw": ("sample", draw[order]),
            },
            coords={"sample": np.arange(n), "feature": list(self.feature_names)},
        )

    def _rows(self, data: Any) -> Observations:
        return self.observations if data is None else features_like(data, self.feature_names)

    def _label(self, values: NDArray[np.float64], rows: Observations) -> xr.DataArray:
        return xr.DataArray(
            values,
            dims=("obs", "component"),
            coords={"obs": rows.index, "component": np.arange(self.spec.n_components)},
            name="memberships",
        )

    # Keeping and showing --------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Save to NetCDF (``.nc``) or Zarr (``.zarr``); nothing half-written is left."""
        return write_tree(self.tree, Path(path))

    def summary(self) -> Any:
        """A table of every parameter.

        For draws it is ``arviz.summary``: mean, sd, interval, effective sample
        sizes and R-hat.  For a point estimate, its values.
        """
        posterior = self.tree["posterior"].to_dataset()
        wanted = ["weights", "means", "scales"][self.spec.n_components == 1 :]
        if self.spec.covariance in ("full", "tied") and len(self.feature_names) > 1:
            wanted.append("correlations")
        if self.is_posterior:
            import arviz as az

            table = az.summary(posterior[wanted], round_to="none")
        else:
            point = posterior[wanted].isel(chain=0, draw=0)
            import pandas as pd

            table = pd.DataFrame(
                {
                    f"{name}[{', '.join(str(v) for v in key)}]": [float(value)]
                    for name in wanted
                    for key, value in _entries(point[name])
                },
                index=["value"],
            ).T
        above = [label for label in table.index if _is_repeated(label)]
        return table.drop(index=above)

    def __repr__(self) -> str:
        return "\n".join([*self._headlines(), "", *self._table()])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    def _headlines(self) -> list[str]:
        chains, draws = self.parameters.batch_shape
        n = int(self.tree["fit/n_rows"].item())
        how = {"em": "EM, maximum likelihood", "map": "MAP, posterior mode"}.get(
            self.method, f"{self.method.upper()}, {chains} chains x {draws} draws"
        )
        features = len(self.feature_names)
        lines = [
            f"MixtureFit {self.spec.label}: {how}",
            f"{n} rows, {features} feature{'s' * (features != 1)}, "
            f"{self.n_parameters} free parameters; log-likelihood "
            f"{self.log_likelihood:.2f}" + (" (mean over draws)" if self.is_posterior else ""),
            f"Status: {self.status}. {self.status.sentence} {self.status.remedy}".rstrip(),
        ]
        if not self.is_posterior:
            lines.insert(2, f"AIC {self.aic():.2f}, BIC {self.bic():.2f}, ICL {self.icl():.2f}")
        return lines

    def _table(self) -> list[str]:
        p = self.parameters
        draws = self.is_posterior
        shown = min(p.n_components, _SHOWN_COMPONENTS)
        columns = [("weight", p.weights[..., :shown])]
        features = self.feature_names[:_SHOWN_FEATURES]
        for title, values in (("mean", p.means), ("sd", p.scales)):
            columns += [(f"{title} {name}", values[..., :shown, j]) for j, name in enumerate(features)]
        cells = [["component", *(str(j) for j in range(shown))]]
        for title, values in columns:
            mean, sd = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
            cells.append(
                [title]
                + [f"{m:.4g} ± {s:.2g}" if draws else f"{m:.4g}" for m, s in zip(mean, sd, strict=True)]
            )
        widths = [max(len(cell) for cell in column) for column in cells]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in zip(*cells, strict=True)
        ]
        if shown < p.n_components or len(self.feature_names) > _SHOWN_FEATURES:
            lines.append("(more in .summary())")
        return lines


def _entries(array: xr.DataArray) -> list[tuple[tuple[Any, ...], Any]]:
    return [
        (tuple(array[dim].values[i] for dim, i in zip(array.dims, at, strict=True)), array.values[at])
        for at in np.ndindex(*array.shape)
    ]


def _is_repeated(label: str) -> bool:
    """Whether a row of a summary is a correlation's diagonal or upper triangle."""
    if not label.startswith("correlations["):
        return False
    _, a, b = label[len("correlations[") : -1].split(", ")
    return a >= b


def load(path: str | Path) -> MixtureFit:
    """Read a fit that :meth:`MixtureFit.save` wrote.

    Raises
    ------
    FileError
        If there is no such file, or it is not a saved fit.
    """
    tree = read_tree(Path(path))
    return MixtureFit(MixtureSpec.from_json(tree.attrs["spec"]), tree)
