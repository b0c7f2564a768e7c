"""The one result of every method: a spec, an xarray tree and a status.

An EM fit is a posterior with one chain and one draw, so everything that takes a
fit takes any fit, and ArviZ's functions take the tree as it is.  Methods here
need nothing above this room; what does (diagnosis, comparison, plots) is a
function that takes a fit.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.errors import FitError, SpecError, warn
from bayesgmm.interrupts import whole_imports
from bayesgmm.layout import lay_out, relabelled
from bayesgmm.model.covariance import correlation_factor
from bayesgmm.model.observations import Observations, features_like
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import PATH, PROBABILITY, WHICH
from bayesgmm.predictive.averaged import Draw
from bayesgmm.predictive.distribution import PredictiveDistribution
from bayesgmm.predictive.generation import Frame
from bayesgmm.predictive.memberships import averaged_memberships, membership_intervals
from bayesgmm.predictive.regions import POINTS
from bayesgmm.predictive.regression import regress
from bayesgmm.printed import parameter_table, printed
from bayesgmm.status import Status
from bayesgmm.store import read_tree, write_tree

if TYPE_CHECKING:
    import pandas as pd

#: Share of draws with ambiguous labels above which their mean is warned of.
_AMBIGUOUS = 0.05


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
            More variables of the group ``fit``: scalars, one-dimensional arrays along
            a dimension of their own name, or xarray variables.
        """
        tree = lay_out(
            spec, observations, parameters, method=method, status=status,
            sample_stats=sample_stats, facts=facts, seed=seed, cores=cores,
        )  # fmt: skip
        return cls(spec, tree)

    # What it is -----------------------------------------------------------

    @property
    def method(self) -> str:
        """``"em"``, ``"map"``, ``"laplace"``, ``"nuts"`` or ``"tempering"``, as asked for."""
        return str(self.tree.attrs["method"])

    @property
    def status(self) -> Status:
        """How the fit ended."""
        return Status(str(self.tree["fit/status"].item()))

    @property
    def note(self) -> str:
        """Which components of a point fit are artefacts or rest on few rows; mostly empty."""
        fit = self.tree["fit"].to_dataset()
        return str(fit["note"].item()) if "note" in fit else ""

    @property
    def modes(self) -> pd.DataFrame:
        """The posterior's modes that the search found, with what is about each.

        A row for each mode, the largest first by ``laplace_share``, its part of the mass of
        all as a normal approximation has it; ``share`` is the part of the draws that are
        nearest to it, which is to be believed, and ``log_density`` its height.  Relabellings
        of a mode are one.  :meth:`mode` takes one, and ``tree["sample_stats"]["mode"]`` says
        of each draw which is nearest.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> spec = bg.MixtureSpec(2)
        >>> fit = bg.fit(spec, bg.datasets.galaxies(), method="nuts", draws=200, seed=1)
        >>> bool(fit.modes["share"].sum().round(6) == 1)
        True
        >>> fit.mode(0).n_components
        2
        """
        import pandas as pd

        facts = self._mode_facts()
        columns = ("log_density", "laplace_share", "share")
        table = {name: facts[f"mode_{name}"].values for name in columns}
        return pd.DataFrame(table).rename_axis("mode")

    def mode(self, index: int) -> MixtureParameters:
        """One of the :attr:`modes`, by its number in the table."""
        number = WHICH("index", index)
        facts = self._mode_facts()
        if not number < facts.sizes["mode"]:
            raise SpecError(
                f"There is no mode {number}; this fit has {facts.sizes['mode']}, numbered from 0."
            )
        return MixtureParameters(
            *(facts[f"mode_{name}"].values[number] for name in ("weights", "means", "scale_tril"))
        )

    def _mode_facts(self) -> xr.Dataset:
        facts = self.tree["fit"].to_dataset()
        if "mode_share" not in facts:
            raise FitError(
                "Only fits with method='nuts' or 'tempering', by the engine bayesgmm, know their "
                "modes."
            )
        return facts

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
        correlation = correlation_factor(posterior["correlations"].values)
        tril = posterior["scales"].values[..., None] * correlation
        return MixtureParameters(posterior["weights"].values, posterior["means"].values, tril)

    @cached_property
    def observations(self) -> Observations:
        """The data that were fitted."""
        there = "constant_data" in self.tree.children
        constant = self.tree["constant_data"].to_dataset() if there else {}
        return Observations(
            self.tree["observed_data"].to_dataset()["x"],
            row_weights=constant["row_weights"].values if "row_weights" in constant else None,
            resolution=constant["resolution"].values if "resolution" in constant else 0,
        )

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
        return averaged_memberships(self.parameters, self._rows(data))

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
        >>> int(found["assigned"][0]), round(float(found["correct"][0]), 1)
        (1, 0.8)
        """
        mass = PROBABILITY("mass", mass)
        return membership_intervals(self.parameters, self._rows(data), mass)

    def predict(self, data: Any = None) -> xr.DataArray:
        """The most probable component of each row, from the averaged memberships."""
        return self.predict_proba(data).argmax("component").rename("component")

    # The next row ---------------------------------------------------------

    @cached_property
    def predictive(self) -> PredictiveDistribution:
        """The distribution of a new row, averaged over the draws.

        It has log_density, mean, covariance, marginal, condition, cdf, quantile, region,
        anomaly_score and generate.
        """
        return PredictiveDistribution.of(self.parameters, self.feature_names)

    def score_samples(self, data: Any = None) -> xr.DataArray:
        """Log predictive density of each row: the log of the density's mean over draws."""
        return self.predictive.log_density(self._rows(data))

    def marginal(self, features: str | Sequence[str]) -> PredictiveDistribution:
        """The predictive distribution of some features.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
        >>> waiting = fit.marginal("waiting")
        >>> float(waiting.cdf(60.0)[0].round(3)), float(waiting.quantile(0.5).round(1))
        (0.295, 75.4)
        """
        return self.predictive.marginal(features)

    def condition(self, given: Mapping[str, float]) -> PredictiveDistribution:
        """The predictive distribution of the other features where these have these values.

        See :meth:`PredictiveDistribution.condition`; for many values, :meth:`regress`.
        """
        return self.predictive.condition(given)

    def regress(self, y: str, at: Any, *, mass: float = 0.89) -> xr.Dataset:
        """One feature as a function of others: mean, bands of it and of new values, modes.

        See :func:`bayesgmm.predictive.regression.regress`.
        """
        return regress(self.predictive, y, at, mass=mass)

    def anomaly_score(
        self, data: Any = None, *, points: int = POINTS, seed: Any = 0
    ) -> xr.DataArray:
        """Predictive probability of a row no more likely than each of these (obs).

        Uniform between 0 and 1 for rows from the model: a threshold is a false-alarm rate.
        (The fitted rows themselves, which are taken where ``data`` is left out, have been seen:
        fewer of them fall below it.)  See :meth:`PredictiveDistribution.anomaly_score`.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
        >>> fit.anomaly_score([[4.4, 80.0], [2.0, 90.0]]).values.round(4)
        array([0.974, 0.   ])
        """
        return self.predictive.anomaly_score(self._rows(data), points=points, seed=seed)

    def outliers(
        self, data: Any = None, *, rate: float = 0.01, points: int = POINTS, seed: Any = 0
    ) -> xr.DataArray:
        """Which rows (obs) are stranger than all but a share ``rate`` of the model's own.

        So many rows that do come from the model are flagged as well.  Options are those of
        :meth:`PredictiveDistribution.anomaly_score`.
        """
        return self.predictive.outliers(self._rows(data), rate=rate, points=points, seed=seed)

    @whole_imports
    def generate(
        self, n: int, *, seed: Any = None, draw: Draw = "all", frame: Frame | None = None
    ) -> Any:
        """New data from the fitted mixture: each row from a draw of its own.

        ``draw`` takes one draw for all rows, or the mean of the draws; ``frame`` gives
        a frame of pandas or polars.  See :meth:`PredictiveDistribution.generate`.

        Returns
        -------
        Dataset or frame
            ``x`` (sample, feature), ``component`` (sample) and ``draw`` (sample),
            the number of the posterior draw over all chains, -1 for the mean.
        """
        self._means_something(draw)
        return self.predictive.generate(n, seed=seed, draw=draw, frame=frame)

    def generate_chunks(
        self, n: int, *, chunk: int = 1_000_000, seed: Any = None, draw: Draw = "all",
        frame: Frame | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """The rows of :meth:`generate`, ``chunk`` at a time: they need not fit in memory."""
        self._means_something(draw)
        return self.predictive.generate_chunks(n, chunk=chunk, seed=seed, draw=draw, frame=frame)

    def _means_something(self, draw: Draw) -> None:
        """Warn where a mean over draws averages components that are not the same."""
        fit = self.tree["fit"].to_dataset()
        ambiguous = float(fit["ambiguous"]) if "ambiguous" in fit else 0.0
        if isinstance(draw, str) and draw == "mean" and ambiguous > _AMBIGUOUS:
            warn(
                f"Labels are ambiguous in {ambiguous:.0%} of the draws, so the mean averages "
                "components that are not the same; draw='all' needs no labels."
            )

    def _rows(self, data: Any) -> Observations:
        return self.observations if data is None else features_like(data, self.feature_names)

    def relabelled(
        self, permutation: NDArray[np.int64], facts: Mapping[str, Any]
    ) -> MixtureFit:
        """The same draws with their components in another order.

        ``permutation`` (chain, draw, component) is from the sampler's labels to the new
        ones; ``facts`` are what then holds in the group ``fit``.  See
        :func:`bayesgmm.relabel` for ways to choose one.
        """
        tree = relabelled(self.tree, self.parameters, permutation, facts)
        return MixtureFit(self.spec, tree)

    # Keeping and showing --------------------------------------------------

    @whole_imports
    def save(self, path: str | Path) -> Path:
        """Save to NetCDF (``.nc``) or Zarr (``.zarr``); nothing half-written is left."""
        return write_tree(self.tree, PATH("path", path))

    @whole_imports
    def summary(self) -> Any:
        """A table of every parameter.

        For draws it is ``arviz.summary``: mean, sd, interval, effective sample
        sizes and R-hat.  For a point estimate, its values.
        """
        return parameter_table(self)

    def __repr__(self) -> str:
        return printed(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


@whole_imports
def load(path: str | Path) -> MixtureFit:
    """Read a fit that :meth:`MixtureFit.save` wrote.

    Raises
    ------
    FileError
        If there is no such file, or it is not a saved fit.
    """
    tree = read_tree(PATH("path", path))
    return MixtureFit(MixtureSpec.from_json(tree.attrs["spec"]), tree)


def require_fit(fit: Any, what: str) -> MixtureFit:
    """A fit, or a refusal in the name of the function that takes one."""
    if not isinstance(fit, MixtureFit):
        raise FitError(f"{what} takes a MixtureFit, got {type(fit).__name__}; fit first.")
    return fit


def doubt(fit: MixtureFit, what: str, *, by_component: bool = False) -> str:
    """Why ``what`` is uncertain, computed from this fit; "" where its status gives no reason.

    Nothing that is computed from draws can see that they are not the posterior's: weights
    have a good Pareto k-hat, and averages a small error, over chains in the wrong places.
    Ambiguous labels are a reason only for what is told component by component.
    """
    status = fit.status
    if status.ok or (status.but_for_labels and not by_component):
        return ""
    sentence, remedy = (
        text[0].lower() + text[1:].rstrip(".") for text in (status.sentence, status.remedy)
    )
    return (
        f"{what} of {fit.spec.label} by {fit.method} is uncertain, for the fit is "
        f"{str(status)!r} ({sentence}): {remedy}."
    )
