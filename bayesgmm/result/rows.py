"""What a fit says of rows: memberships, densities, how strange they are, what they lack."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import Any, overload

import xarray as xr

from bayesgmm.data.features import features_like
from bayesgmm.data.observations import Observations
from bayesgmm.errors import DataError, SpecError
from bayesgmm.options import COUNT, PROBABILITY, SEED, Seed, optional
from bayesgmm.predictive.distribution import PredictiveDistribution
from bayesgmm.predictive.generation import Frame, checked_frame, framed
from bayesgmm.predictive.memberships import (
    averaged_memberships,
    membership_intervals,
    most_probable,
)
from bayesgmm.predictive.regions import POINTS
from bayesgmm.predictive.scores import scoring
from bayesgmm.result.by_block import OUT, Ask, answered
from bayesgmm.result.filling import filled
from bayesgmm.result.record import FitRecord


class FitOfRows(FitRecord):
    """A fit that can be asked about rows."""

    # Memberships and density ----------------------------------------------

    @overload
    def predict_proba(self, data: Any = None, *, out: None = None) -> xr.DataArray: ...
    @overload
    def predict_proba(self, data: Any = None, *, out: str | Path) -> Path: ...

    def predict_proba(self, data: Any = None, *, out: str | Path | None = None) -> Any:
        """Membership probabilities (obs, component), averaged over the draws.

        The last component is ``"noise"`` where the model has it.

        Parameters
        ----------
        data : anything that Observations takes, optional
            Rows with the fitted features; the fitted data where left out.
        out : path, optional
            Ends in .parquet or .zarr, and the answer is written there a part of the rows at a
            time, which need not fit in memory; the path is returned.  A file appears whole or
            not at all.  Parquet has the labels of rows as a column ``obs``, Zarr what would be
            returned.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
        >>> fit.predict_proba([[3.0, 67.0]]).values.round(2)
        array([[0.11, 0.89]])
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fit.predict_proba(out=f"{folder}/memberships.zarr").name
        'memberships.zarr'
        """
        return answered(partial(averaged_memberships, self.parameters), self._rows(data), out)

    @overload
    def memberships(
        self, data: Any = None, *, mass: float = 0.89, out: None = None
    ) -> xr.Dataset: ...
    @overload
    def memberships(self, data: Any = None, *, mass: float = 0.89, out: str | Path) -> Path: ...

    def memberships(
        self, data: Any = None, *, mass: float = 0.89, out: str | Path | None = None
    ) -> Any:
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
        out : path, optional
            As :meth:`predict_proba` has it.
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
        ask = partial(membership_intervals, self.parameters, mass=mass)
        return answered(ask, self._rows(data), out)

    @overload
    def predict(self, data: Any = None, *, out: None = None) -> xr.DataArray: ...
    @overload
    def predict(self, data: Any = None, *, out: str | Path) -> Path: ...

    def predict(self, data: Any = None, *, out: str | Path | None = None) -> Any:
        """The most probable component of each row, from the averaged memberships; -1 for noise.

        ``data`` and ``out`` are those of :meth:`predict_proba`.
        """

        def ask(rows: Observations) -> xr.DataArray:
            own = averaged_memberships(self.parameters, rows)
            return most_probable(own).rename("component")

        return answered(ask, self._rows(data), out)

    def impute(
        self,
        n: int | None = None,
        data: Any = None,
        *,
        seed: Seed = None,
        frame: Frame | None = None,
        out: str | Path | None = None,
    ) -> Any:
        """Rows with what was not seen filled in, by its expectation or by ``n`` draws of it.

        Parameters
        ----------
        n : int, optional
            Copies of the rows, each by a draw of the parameters, of a component and of the
            values, so that what differs between copies is what is not known.  None
            for one copy with the expectations, which are the best guesses and vary
            less than values do.
        data : anything that Observations takes, optional
            Rows with the fitted features; the fitted data where left out.
        seed : int, SeedSequence or Generator, optional
        frame : "pandas" or "polars", optional
            Frames of the rows in place of an array.
        out : path, optional
            As :meth:`predict_proba` has it.  Parquet has a column ``draw`` beside those of the
            features where there are ``n`` copies, all those of some rows together.

        Returns
        -------
        DataArray, frame, list of frames or path
            (obs, feature), or (draw, obs, feature) of ``n`` copies.

        References
        ----------
        Rubin (1987), Multiple imputation for nonresponse in surveys.

        Examples
        --------
        >>> import numpy as np, bayesgmm as bg
        >>> X = bg.datasets.faithful().to_pandas()
        >>> X.iloc[0, 1] = np.nan
        >>> rows = bg.Observations(X, missing="marginal")
        >>> fit = bg.fit(bg.MixtureSpec(2), rows, method="em", seed=1)
        >>> filled = fit.impute()
        >>> filled.values[0].round(0)
        array([ 4., 76.])
        >>> fit.impute(5, seed=1).sizes["draw"]
        5
        """
        rows = self._rows(data)
        n, seed = optional(COUNT)("n", n), SEED("seed", seed)
        frame = checked_frame(frame)
        if frame is not None and out is not None:
            raise SpecError("frame is of what is returned, and out is written; give one of them.")
        found = filled(self.parameters, rows, n, seed=seed, out=out)
        if frame is None:
            return found
        values, names, index = found.values, rows.names, found["obs"].values
        made = [
            framed({name: copy[:, j] for j, name in enumerate(names)}, index, frame)
            for copy in values.reshape(-1, *values.shape[-2:])
        ]
        return made[0] if n is None else made

    def denoise(
        self,
        n: int | None = None,
        data: Any = None,
        *,
        seed: Seed = None,
        out: str | Path | None = None,
    ) -> Any:
        """Rows without the errors with which they were measured.

        A row is x = y + error, and the distribution of y is known: it draws each value towards
        where its component has mass, the more the larger its error.  What was not seen is
        filled in.

        Parameters
        ----------
        n : int, optional
            Draws of all the y, each by a draw of the parameters and of the components; None for
            expectations with their uncertainty.
        data : Observations, optional
            Rows with the fitted features and their errors; the fitted data where left out.
        seed : int, SeedSequence or Generator, optional
        out : path, optional
            As :meth:`impute` has it.

        Returns
        -------
        Dataset, DataArray or path
            ``mean`` and ``sd`` (obs, feature); or draws (draw, obs, feature).

        References
        ----------
        Bovy, Hogg and Roweis (2011), Extreme deconvolution, Annals of Applied Statistics 5.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> rows = bg.Observations(bg.datasets.galaxies(), errors=500)
        >>> fit = bg.fit(bg.MixtureSpec(3), rows, method="em", seed=1)
        >>> found = fit.denoise()
        >>> bool((found["sd"] < 500).all())
        True
        """
        rows = self._rows(data)
        n, seed = optional(COUNT)("n", n), SEED("seed", seed)
        if rows.views.errors is None:
            raise DataError(
                "These rows have no errors of measurement; give Observations(..., errors=...)."
            )
        return filled(self.parameters, rows, n, seed=seed, out=out, errors=True)

    # Density ----------------------------------------------------------------

    @cached_property
    def predictive(self) -> PredictiveDistribution:
        """The distribution of a new row, averaged over the draws.

        It has log_density, mean, covariance, marginal, condition, cdf, quantile, region,
        anomaly_score and generate.
        """
        return PredictiveDistribution.of(self.parameters, self.feature_names)

    @overload
    def score_samples(self, data: Any = None, *, out: None = None) -> xr.DataArray: ...
    @overload
    def score_samples(self, data: Any = None, *, out: str | Path) -> Path: ...

    def score_samples(self, data: Any = None, *, out: str | Path | None = None) -> Any:
        """Log predictive density of each row: the log of the density's mean over draws.

        ``data`` and ``out`` are those of :meth:`predict_proba`.
        """
        return answered(self.predictive.log_density, self._rows(data), out)

    @overload
    def anomaly_score(
        self, data: Any = None, *, points: int = POINTS, seed: Any = 0, out: None = None
    ) -> xr.DataArray: ...
    @overload
    def anomaly_score(
        self, data: Any = None, *, points: int = POINTS, seed: Any = 0, out: str | Path
    ) -> Path: ...

    def anomaly_score(
        self,
        data: Any = None,
        *,
        points: int = POINTS,
        seed: Any = 0,
        out: str | Path | None = None,
    ) -> Any:
        """Predictive probability of a row no more likely than each of these (obs).

        Uniform between 0 and 1 for rows from the model: a threshold is a false-alarm rate.  A row
        with holes or errors of measurement is held against what would be seen of rows like it.
        (The fitted rows themselves, which are taken where ``data`` is left out, have been seen:
        fewer of them fall below it.)  See :meth:`PredictiveDistribution.anomaly_score`; ``out``
        is that of :meth:`predict_proba`.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
        >>> fit.anomaly_score([[4.4, 80.0], [2.0, 90.0]]).values.round(4)
        array([0.974, 0.   ])
        """
        rows, out = self._rows(data), OUT("out", out)
        return answered(self._scoring(points, seed), rows, out)

    @overload
    def outliers(
        self, data: Any = None, *, rate: float = 0.01, points: int = POINTS, seed: Any = 0,
        out: None = None,
    ) -> xr.DataArray: ...  # fmt: skip
    @overload
    def outliers(
        self, data: Any = None, *, rate: float = 0.01, points: int = POINTS, seed: Any = 0,
        out: str | Path,
    ) -> Path: ...  # fmt: skip

    def outliers(
        self,
        data: Any = None,
        *,
        rate: float = 0.01,
        points: int = POINTS,
        seed: Any = 0,
        out: str | Path | None = None,
    ) -> Any:
        """Which rows (obs) are stranger than all but a share ``rate`` of the model's own.

        So many rows that do come from the model are flagged as well.  Options are those of
        :meth:`anomaly_score`.
        """
        rate, rows, out = PROBABILITY("rate", rate), self._rows(data), OUT("out", out)
        score = self._scoring(points, seed, rate)
        return answered(lambda some: (score(some) <= rate).rename("outlier"), rows, out)

    def _scoring(self, points: int, seed: Any, rate: float | None = None) -> Ask:
        """What scores rows, whichever they are by the same points of the distribution."""
        scores = scoring(self.predictive.mixture, points, seed, rate)

        def ask(some: Observations) -> xr.DataArray:
            return xr.DataArray(scores(some), {"obs": some.index}, ("obs",), name="anomaly_score")

        return ask

    def _rows(self, data: Any) -> Observations:
        return (
            self.observations
            if data is None
            else features_like(data, self.feature_names, self.missing)
        )
