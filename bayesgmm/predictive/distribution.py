"""The predictive distribution: what the next row is, given the data and nothing else.

The labelled face of the average over draws: features have names, results have coordinates,
and what cannot be answered is refused in one sentence.  Asked of some features, or of
some given others, the answer is a predictive distribution again, which can be asked the same
things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayesgmm.data.features import features_like
from bayesgmm.data.observations import Observations
from bayesgmm.data.reading import default_names, given_names
from bayesgmm.errors import DataError, warn
from bayesgmm.markup import block, table
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.options import LIMIT, PROBABILITY, SEED, instance, shown
from bayesgmm.predictive.asked import PROBABILITIES, given_values, positions
from bayesgmm.predictive.averaged import AveragedMixture, Draw
from bayesgmm.predictive.generation import Frame, generated
from bayesgmm.predictive.regions import POINTS, HighestDensityRegion, checked_points
from bayesgmm.predictive.scores import scoring
from bayesgmm.predictive.univariate import UnivariateMixture

_SHOWN = 20  # features in a notebook
_FEW_DRAWS = 10  # effective draws below which a conditional rests on accidents of sampling


@dataclass(frozen=True, eq=False)
class PredictiveDistribution:
    """The distribution of a new row: a mixture averaged over draws, with named features.

    ``fit.predictive`` makes it; :meth:`of` makes it of any mixtures.

    Attributes
    ----------
    mixture : AveragedMixture
        The S K normals that it is made of.
    feature_names : tuple of D strings

    Examples
    --------
    >>> import bayesgmm as bg
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
    >>> next_eruption = fit.predictive.condition({"waiting": 60})
    >>> next_eruption
    PredictiveDistribution(1 draw x 2 components; features eruptions)
    >>> next_eruption.quantile([0.05, 0.5, 0.95]).values.round(2)
    array([1.69, 2.11, 2.55])
    """

    mixture: AveragedMixture
    feature_names: tuple[str, ...]

    @classmethod
    def of(
        cls, parameters: MixtureParameters, names: Sequence[str] | None = None
    ) -> PredictiveDistribution:
        """The average of mixtures, each counted alike.

        Parameters
        ----------
        parameters : MixtureParameters
            Any batch shape; S is its size.
        names : sequence of D strings, optional
            Feature names; x0, x1, ... where left out.

        Examples
        --------
        >>> from bayesgmm import MixtureParameters
        >>> from bayesgmm.predictive.distribution import PredictiveDistribution
        >>> mixture = MixtureParameters([0.5, 0.5], [[-3.0], [3.0]], [[[1.0]], [[1.0]]])
        >>> PredictiveDistribution.of(mixture).region(0.5).intervals.values.round(2)
        array([[-3.67, -2.33],
               [ 2.33,  3.67]])
        """
        parameters = instance("MixtureParameters", MixtureParameters)("parameters", parameters)
        d = parameters.n_features
        own = default_names(d) if names is None else given_names(names, d)
        if len(set(own)) != d:
            raise DataError(f"names are {own}; give {d} different ones.")
        return cls(AveragedMixture.of(parameters), tuple(own))

    @property
    def n_features(self) -> int:
        """D."""
        return len(self.feature_names)

    @property
    def parameters(self) -> MixtureParameters:
        """The mixture of each draw, batch shape (S,)."""
        return self.mixture.parameters

    @property
    def draw_weights(self) -> xr.DataArray:
        """Weight of each draw (draw): 1 / S each until something is conditioned on."""
        weights = self.mixture.draw_weights
        return xr.DataArray(
            weights, dims="draw", coords={"draw": np.arange(len(weights))}, name="draw_weights"
        )

    @property
    def effective_draws(self) -> float:
        """How many draws of equal weight would say as much (Kish)."""
        return float(1.0 / (self.mixture.draw_weights**2).sum())

    # Density and moments --------------------------------------------------------

    def log_density(self, data: Any) -> xr.DataArray:
        """Log density of each row (obs): the log of the density's mean over draws.

        Parameters
        ----------
        data : anything that Observations takes
            Rows of the distribution's features.
        """
        rows = self._rows(data)
        out = self.mixture.log_density(rows)
        return xr.DataArray(out, dims="obs", coords={"obs": rows.index}, name="log_density")

    def _rows(self, data: Any) -> Observations:
        return features_like(np.atleast_1d(data) if np.isscalar(data) else data, self.feature_names)

    @property
    def mean(self) -> xr.DataArray:
        """Expectation (feature)."""
        return xr.DataArray(
            self.mixture.mean(),
            dims="feature",
            coords={"feature": list(self.feature_names)},
            name="mean",
        )

    @property
    def covariance(self) -> xr.DataArray:
        """Covariance (feature, feature_bis): within components, between them, and of draws."""
        names = list(self.feature_names)
        return xr.DataArray(
            self.mixture.covariance(),
            dims=("feature", "feature_bis"),
            coords={"feature": names, "feature_bis": names},
            name="covariance",
        )

    # Of some features, and given others ---------------------------------------

    def marginal(self, features: str | Sequence[str]) -> PredictiveDistribution:
        """The distribution of some features, in the order given."""
        try:
            names = [features] if isinstance(features, str) else [str(name) for name in features]
        except (TypeError, NotImplementedError):  # the second of a memoryview of a table
            raise DataError(
                f"features must be names, such as ['x0'], got {shown(features)}."
            ) from None
        return PredictiveDistribution(
            self.mixture.marginal(positions(names, self.feature_names)), tuple(names)
        )

    def condition(self, given: Mapping[str, float]) -> PredictiveDistribution:
        """The distribution of the other features where these have these values.

        Draws and components are weighed by their density at what is given, so that
        ``marginal(x).log_density + condition(x).log_density(y)`` is the log density of both.

        Warns
        -----
        FitWarning
            If the values are so far from the data that a few draws carry the answer.
        """
        values = given_values(given)
        if not values:
            return self
        where = positions(list(values), self.feature_names)
        if len(where) == self.n_features:
            raise DataError(
                "Every feature is given, so nothing is left to be predicted; leave one out, or "
                "ask for log_density."
            )
        at = dict(zip(where, values.values(), strict=True))
        left = tuple(name for j, name in enumerate(self.feature_names) if j not in at)
        found = PredictiveDistribution(self.mixture.condition(at), left)
        draws = self.mixture.n_draws
        if found.effective_draws < min(_FEW_DRAWS, draws / 10):
            shown = ", ".join(f"{name}={value:g}" for name, value in values.items())
            warn(
                f"Given {shown}, {found.effective_draws:.1f} of {draws} draws carry the "
                "answer: the values are far from the data, and it rests on the fit's tails."
            )
        return found

    # One feature --------------------------------------------------------------

    @property
    def _line(self) -> UnivariateMixture:
        """The large mixture of a single feature, or a refusal."""
        if self.n_features != 1:
            raise DataError(
                f"This is of one feature at a time, and the distribution has {self.n_features} "
                f"({', '.join(self.feature_names)}); take marginal or condition first."
            )
        return self.mixture.line

    def cdf(self, data: Any) -> xr.DataArray:
        """Probability of values up to each row's (obs), of one feature."""
        line, rows = self._line, self._rows(data)
        if rows.has_holes:
            raise DataError(
                f"The cdf is of values, and {rows.n_unseen:,} of these {rows.n_rows:,} rows have "
                "none; leave them out."
            )
        if not rows.seen_whole:
            raise DataError("The cdf is of values without errors; leave the errors out.")
        found = line.cdf(rows.matrix[:, 0])
        return xr.DataArray(found, dims="obs", coords={"obs": rows.index}, name="cdf")

    def quantile(self, q: Any) -> xr.DataArray:
        """Values below which probabilities ``q`` lie (quantile), of one feature."""
        line = self._line
        wanted = PROBABILITIES("q", q)
        found = line.quantile(np.atleast_1d(wanted)).reshape(wanted.shape)
        return xr.DataArray(
            found,
            dims=("quantile",)[: wanted.ndim],
            coords={"quantile": wanted},
            name=self.feature_names[0],
        )

    # Regions and anomalies ------------------------------------------------------

    def region(
        self, mass: float = 0.89, *, points: int = POINTS, seed: Any = 0
    ) -> HighestDensityRegion:
        """The smallest region of a given probability: where the density exceeds a level.

        Parameters
        ----------
        mass : float, default 0.89
        points : int, default 65536
            A power of two.  The level is a quantile of the density at so many points of the
            distribution, spread evenly over it (scrambled Sobol points); its error comes
            with it.  Not needed in one dimension, where the level is exact.
        seed : int, default 0
        """
        mass, _, seed = PROBABILITY("mass", mass), checked_points(points), SEED("seed", seed)
        if self.n_features == 1:
            ends, height = self._line.region(mass)
            intervals = xr.DataArray(
                ends,
                dims=("interval", "bound"),
                coords={"bound": ["lower", "upper"]},
                name=self.feature_names[0],
            )
            return HighestDensityRegion(mass, float(np.log(height)), 0.0, 0.0, intervals, self)
        found = self.mixture.levels(points, seed).threshold(mass)
        return HighestDensityRegion(mass, *found, None, self)

    def anomaly_score(self, data: Any, *, points: int = POINTS, seed: Any = 0) -> xr.DataArray:
        """Probability of a row no more likely than each of these (obs): small is strange.

        Scores of rows from the distribution are uniform between 0 and 1, so rows
        scored below 0.01 are 1 % of them: a threshold is a false-alarm rate.  A row with holes
        or errors of measurement is held against what would be seen of rows like it.

        Parameters
        ----------
        data : anything that Observations takes
        points : int, default 65536
            A power of two: points of the distribution against which rows are held, spread
            evenly over it.  The score of a row that nothing is less likely than is
            1 / (points + 1).
        seed : int, default 0
        """
        return self._scored(scoring(self.mixture, points, seed), data)

    def _scored(self, scores: Callable[[Observations], Any], data: Any) -> xr.DataArray:
        rows = self._rows(data)
        return xr.DataArray(scores(rows), {"obs": rows.index}, ("obs",), name="anomaly_score")

    def outliers(
        self, data: Any, *, rate: float = 0.01, points: int = POINTS, seed: Any = 0
    ) -> xr.DataArray:
        """Which rows (obs) are stranger than all but a share ``rate`` of the distribution."""
        rate = PROBABILITY("rate", rate)
        scores = scoring(self.mixture, points, seed, rate)
        return (self._scored(scores, data) <= rate).rename("outlier")

    # Data -------------------------------------------------------------------------

    def generate(
        self, n: int, *, seed: Any = None, draw: Draw = "all", frame: Frame | None = None
    ) -> Any:
        """New data: n rows, each from a draw of its own unless one is asked for.

        Parameters
        ----------
        n : int
        seed : int, SeedSequence or Generator, optional
            The same seed gives the same rows, whatever the number of threads.
        draw : "all", "mean" or int, default "all"
            ``"all"`` takes a new draw for every row: the posterior predictive distribution.
            A number takes that draw for all rows, which gives data as alike as those of one
            truth.  ``"mean"`` takes the mean over draws of weights, means and covariances: one
            mixture in place of many, which is narrower than the predictive distribution
            because it leaves out that the parameters are not known, and which means
            what the labels mean: where they switch, it averages components that are not
            the same.
        frame : "pandas" or "polars", optional
            A frame with a column per feature, ``component`` and ``draw``.

        Returns
        -------
        Dataset or frame
            ``x`` (sample, feature), ``component`` (sample) and ``draw`` (sample), the
            number of the posterior draw over all chains, -1 for the mean.

        Raises
        ------
        SpecError
            For an option of another kind, and more rows than memory holds, which
            :meth:`generate_chunks` makes a part at a time.
        """
        return next(
            generated(self.mixture.cells(draw), self.feature_names, n, seed=seed, frame=frame)
        )

    def generate_chunks(
        self,
        n: int,
        *,
        chunk: int = 1_000_000,
        seed: Any = None,
        draw: Draw = "all",
        frame: Frame | None = None,
    ) -> Iterator[Any]:
        """The rows of :meth:`generate`, ``chunk`` at a time: they need not fit in memory."""
        chunk = LIMIT("chunk", chunk)
        return generated(
            self.mixture.cells(draw), self.feature_names, n, seed=seed, frame=frame, chunk=chunk
        )

    def __repr__(self) -> str:
        s, k = self.mixture.log_weights.shape
        shown = ", ".join(self.feature_names[:6]) + (", …" if self.n_features > 6 else "")
        return (
            f"PredictiveDistribution({s} draw{'s' * (s != 1)} x {k} component{'s' * (k != 1)}; "
            f"features {shown})"
        )

    def _repr_html_(self) -> str:
        mean, sd = self.mixture.mean(), np.sqrt(np.diag(self.mixture.covariance()))
        rows = [
            [name, f"{m:.5g}", f"{s:.3g}"]
            for name, m, s in zip(self.feature_names, mean, sd, strict=True)
        ]
        header = ["feature", "mean", "sd"]
        return block(repr(self), table("Of the next row", header, rows[:_SHOWN]))


#: What functions of a distribution take.
PREDICTIVE = instance("a PredictiveDistribution, as fit.predictive is", PredictiveDistribution)
