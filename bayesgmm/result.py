"""The one result of every method: a spec, an xarray tree and a status.

An EM fit is a posterior with one chain and one draw, so everything that takes a
fit takes any fit, and ArviZ's functions take the tree as it is.  Methods here
need nothing above this room; what does (diagnosis, comparison, plots) is a
function that takes a fit.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.errors import DataError, FitError
from bayesgmm.layout import free_parameters, lay_out, posterior_group
from bayesgmm.model.observations import Observations, features_like
from bayesgmm.model.parallel import available_cores, one_blas_thread, thread_map
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.statistics import CHUNK, Rows, row_log_density
from bayesgmm.printed import printed
from bayesgmm.status import Status
from bayesgmm.store import read_tree, write_tree

#: Entries of draws x rows x components that are held at once, by each thread.
_HELD_MEMBERSHIPS = 8_000_000


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
        tree = lay_out(
            spec, observations, parameters, method=method, status=status,
            sample_stats=sample_stats, facts=facts, seed=seed, cores=cores,
        )  # fmt: skip
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
        return tuple(map(str, self.tree["posterior"].to_dataset()["feature"].values))

    @cached_property
    def parameters(self) -> MixtureParameters:
        """All draws, batch shape (chain, draw); (1, 1) for a point estimate."""
        posterior = self.tree["posterior"].to_dataset()
        correlation = np.linalg.cholesky(posterior["correlations"].values)
        tril = posterior["scales"].values[..., None] * correlation
        return MixtureParameters(posterior["weights"].values, posterior["means"].values, tril)

    @cached_property
    def observations(self) -> Observations:
        """The data that were fitted."""
        weights = None
        if "constant_data" in self.tree.children:
            weights = self.tree["constant_data"].to_dataset()["row_weights"].values
        return Observations(self.tree["observed_data"].to_dataset()["x"], row_weights=weights)

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

    def predict_proba(self, data: Any = None) -> xr.DataArray:
        """Membership probabilities (obs, component), averaged over the draws.

        Parameters
        ----------
        data : anything that Observations takes, optional
            Rows with the fitted features; the fitted data where left out.
        """
        rows = self._rows(data)
        forms, center = self.parameters.forms()
        mean = np.zeros((rows.n_rows, self.spec.n_components))

        def one(part: slice) -> None:  # a chunk at a time: no draws x N x K array is held
            scaled = Rows.of(rows.matrix[part], center)
            for form in forms:
                mean[part] += row_log_density(scaled, form, memberships=True)[1]

        self._over_rows(one, rows.n_rows, CHUNK)
        return self._label(mean / len(forms), rows)

    def memberships(self, data: Any = None, *, mass: float = 0.89) -> xr.Dataset:
        """Soft memberships with their uncertainty, and hard ones with the chance that they hold.

        A row's membership is itself uncertain twice over: given the parameters it is a
        probability, and the parameters are not known.  ``probability`` is the average
        over draws, which is the probability that the row belongs to the component;
        ``lower`` and ``upper`` say how much that would change if the parameters were
        known.  So a row at 0.6 and 0.4 is given to the first, rightly with probability 0.6.

        Parameters
        ----------
        data : anything that Observations takes, optional
            Rows with the fitted features; the fitted data where left out.
        mass : float, default 0.89
            Probability of the equal-tailed intervals over draws (ArviZ's default).

        Returns
        -------
        Dataset
            ``probability``, ``lower`` and ``upper`` (obs, component), ``assigned``
            (obs) the most probable component, and ``correct`` (obs) its probability.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
        >>> found = fit.memberships([[3.0, 67.0]])
        >>> int(found["assigned"][0]), round(float(found["correct"][0]), 2)
        (0, 0.74)
        """
        if not 0 < mass < 1:
            raise DataError(f"mass must be between 0 and 1, got {mass}.")
        rows = self._rows(data)
        forms, center = self.parameters.forms()
        out = np.empty((3, rows.n_rows, self.spec.n_components))
        tail = (1 - mass) / 2

        def one(part: slice) -> None:
            scaled = Rows.of(rows.matrix[part], center)
            drawn = np.stack([row_log_density(scaled, form, memberships=True)[1] for form in forms])
            out[0, part] = drawn.mean(axis=0)
            out[1:, part] = np.quantile(drawn, [tail, 1 - tail], axis=0)

        held = len(forms) * self.spec.n_components
        self._over_rows(one, rows.n_rows, max(1, _HELD_MEMBERSHIPS // held))
        probability, lower, upper = (self._label(values, rows) for values in out)
        return xr.Dataset(
            {
                "probability": probability, "lower": lower, "upper": upper,
                "assigned": probability.argmax("component"),
                "correct": probability.max("component"),
            }
        )  # fmt: skip

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

        self._over_rows(one, rows.n_rows, CHUNK)
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
        edges = np.cumsum(flat.weights, axis=1)
        draw = rng.integers(len(edges), size=n)
        point = rng.random(n) * edges[draw, -1]
        component = (edges[draw] <= point[:, None]).sum(axis=1)
        x = flat.means[draw, component]
        for begin in range(0, n, CHUNK):  # a factor for each row of a chunk, not of all
            part = slice(begin, begin + CHUNK)
            noise = rng.standard_normal(x[part].shape)
            tril = flat.scale_tril[draw[part], component[part]]
            x[part] += np.einsum("nij,nj->ni", tril, noise)
        return xr.Dataset(
            {
                "x": (("sample", "feature"), x),
                "component": ("sample", component),
                "draw": ("sample", draw),
            },
            coords={"sample": np.arange(n), "feature": list(self.feature_names)},
        )

    def _rows(self, data: Any) -> Observations:
        return self.observations if data is None else features_like(data, self.feature_names)

    def _over_rows(self, one: Callable[[slice], None], n: int, size: int) -> None:
        """Call ``one`` for every slice of ``size`` rows, on threads."""
        with one_blas_thread():
            thread_map(
                one, [slice(i, i + size) for i in range(0, n, size)], available_cores(None)
            )

    def _label(self, values: NDArray[np.float64], rows: Observations) -> xr.DataArray:
        return xr.DataArray(
            values,
            dims=("obs", "component"),
            coords={"obs": rows.index, "component": np.arange(self.spec.n_components)},
            name="memberships",
        )

    def relabelled(
        self, permutation: NDArray[np.int64], facts: Mapping[str, Any]
    ) -> MixtureFit:
        """The same draws with their components in another order.

        ``permutation`` (chain, draw, component) is from the sampler's labels to the new
        ones; ``facts`` are what then holds in the group ``fit``.  See
        :func:`bayesgmm.relabel` for ways to choose one.
        """
        before = self.tree["sample_stats"].to_dataset()["permutation"].values
        raw = self.parameters.permute(np.argsort(before, axis=-1))
        groups = {name: group.to_dataset() for name, group in self.tree.children.items()}
        groups["posterior"] = posterior_group(raw.permute(permutation), list(self.feature_names))
        groups["sample_stats"] = groups["sample_stats"].assign(
            permutation=(("chain", "draw", "component"), permutation)
        )
        groups["fit"] = groups["fit"].assign(dict(facts))
        tree = xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})
        tree.attrs = self.tree.attrs
        return MixtureFit(self.spec, tree)

    # Keeping and showing --------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Save to NetCDF (``.nc``) or Zarr (``.zarr``); nothing half-written is left."""
        return write_tree(self.tree, Path(path))

    def summary(self) -> Any:
        """A table of every parameter.

        For draws it is ``arviz.summary``: mean, sd, interval, effective sample
        sizes and R-hat.  For a point estimate, its values.
        """
        free = free_parameters(self.tree["posterior"].to_dataset(), self.spec)
        if self.is_posterior:
            import arviz as az

            return az.summary(free, round_to="none")
        import pandas as pd

        point = free.isel(chain=0, draw=0)
        rows = {
            f"{name}[{', '.join(str(label) for label in labels)}]": value
            for name, array in point.items()
            for labels, value in _labelled(array)
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value"])

    def __repr__(self) -> str:
        return printed(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def _labelled(array: xr.DataArray) -> list[tuple[tuple[Any, ...], float]]:
    """Each entry of an array with its coordinates."""
    return [
        (tuple(array[dim].values[i] for dim, i in zip(array.dims, at, strict=True)),
         float(array.values[at]))
        for at in np.ndindex(*array.shape)
    ]  # fmt: skip


def load(path: str | Path) -> MixtureFit:
    """Read a fit that :meth:`MixtureFit.save` wrote.

    Raises
    ------
    FileError
        If there is no such file, or it is not a saved fit.
    """
    tree = read_tree(Path(path))
    return MixtureFit(MixtureSpec.from_json(tree.attrs["spec"]), tree)
