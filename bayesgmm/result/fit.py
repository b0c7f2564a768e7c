"""The one result of every method: a spec, an xarray tree and a status.

An EM fit is a posterior with one chain and one draw, so everything that takes a
fit takes any fit, and ArviZ's functions take the tree as it is.  Methods here
need nothing above this room; what does (diagnosis, comparison, plots) is a
function that takes a fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.errors import FileError, FitError, warn
from bayesgmm.interrupts import whole_imports
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import PATH, TRUTH
from bayesgmm.predictive.averaged import Draw
from bayesgmm.predictive.distribution import PredictiveDistribution
from bayesgmm.predictive.generation import Frame
from bayesgmm.predictive.regression import regress
from bayesgmm.result.rows import FitOfRows
from bayesgmm.result.status import Status
from bayesgmm.result.store import read_tree, reason, write_tree
from bayesgmm.result.store_layout import require_fit_in
from bayesgmm.result.text import page, parameter_table, printed
from bayesgmm.result.tree import lay_out, relabelled, without_rows

#: Share of draws with ambiguous labels above which their mean is warned of.
_AMBIGUOUS = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class MixtureFit(FitOfRows):
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
        log_likelihood: NDArray[np.float64] | None = None,
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
        log_likelihood : array of shape (chain, draw), optional
            Of all rows, where it is known already: many rows are not gone over again.
        """
        tree = lay_out(
            spec,
            observations,
            parameters,
            method=method,
            status=status,
            sample_stats=sample_stats,
            facts=facts,
            seed=seed,
            cores=cores,
            log_likelihood=log_likelihood,
        )
        result = cls(spec, tree)
        if observations.stored is not None:  # which no first pass has to open again
            vars(result)["observations"] = observations
        return result

    # The next row ---------------------------------------------------------

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
        self,
        n: int,
        *,
        chunk: int = 1_000_000,
        seed: Any = None,
        draw: Draw = "all",
        frame: Frame | None = None,
    ) -> Iterator[Any]:
        """The rows of :meth:`generate`, ``chunk`` at a time: they need not fit in memory."""
        self._means_something(draw)
        return self.predictive.generate_chunks(n, chunk=chunk, seed=seed, draw=draw, frame=frame)

    def _means_something(self, draw: Draw) -> None:
        """Warn where a mean over draws averages components that are not the same."""
        ambiguous = self.fact("ambiguous", 0.0)
        if isinstance(draw, str) and draw == "mean" and ambiguous > _AMBIGUOUS:
            warn(
                f"Labels are ambiguous in {ambiguous:.0%} of the draws, so the mean averages "
                "components that are not the same; draw='all' needs no labels."
            )

    def relabelled(self, permutation: NDArray[np.int64], facts: Mapping[str, Any]) -> MixtureFit:
        """The same draws with their components in another order.

        ``permutation`` (chain, draw, component) is from the sampler's labels to the new
        ones; ``facts`` are what then holds in the group ``fit``.  See
        :func:`bayesgmm.relabel` for ways to choose one.
        """
        tree = relabelled(self.tree, self.parameters, permutation, facts)
        result = MixtureFit(self.spec, tree)
        if not self.has_rows and "observations" in vars(self):
            vars(result)["observations"] = self.observations
        return result

    # Keeping and showing --------------------------------------------------

    @whole_imports
    def save(self, path: str | Path, *, data: bool = True, log_likelihood: bool = True) -> Path:
        """Save to NetCDF (``.nc``) or Zarr (``.zarr``); nothing half-written is left.

        Parameters
        ----------
        path : str or Path
            A file, or a folder that holds a saved fit, is replaced; no other folder is.
        data : bool, default True
            Whether the fitted rows are saved as well, with all that is known of each.  Rows that
            are not in memory never are: the fit says where they lie.  A fit without its
            rows does all that needs none, and what needs them says so.
        log_likelihood : bool, default True
            Whether the log-likelihood of each row at each draw is saved as well.  What needs it
            computes it of rows that are in memory.

        Returns
        -------
        Path

        Examples
        --------
        >>> import tempfile, bayesgmm as bg
        >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     small = bg.load(fit.save(f"{folder}/fit.nc", data=False, log_likelihood=False))
        >>> int(small.predict([[3.0, 67.0]])[0])
        1
        """
        path = PATH("path", path)
        data, log_likelihood = TRUTH("data", data), TRUTH("log_likelihood", log_likelihood)
        tree = self.tree
        if not (data and log_likelihood):
            tree = without_rows(tree, data=data, log_likelihood=log_likelihood)
            if not data and self.has_rows:
                tree.attrs["rows"] = json.dumps(self.of_rows)
        return write_tree(tree, path)

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
        return page(self)


@whole_imports
def load(path: str | Path) -> MixtureFit:
    """Read a fit that :meth:`MixtureFit.save` wrote.

    Parameters
    ----------
    path : str or Path
        A NetCDF file, or a folder in Zarr's layout; of this version or an earlier one.

    Returns
    -------
    MixtureFit
        With its spec, data, parameters and status, as it was saved.

    Raises
    ------
    FileError
        If there is no such file, or it is not a saved fit.

    Examples
    --------
    >>> import os, tempfile
    >>> import bayesgmm as bg
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful()[:60], method="em", seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = fit.save(os.path.join(folder, "fit.nc"))
    ...     again = bg.load(path)
    >>> again.spec == fit.spec, again.status
    (True, <Status.CONVERGED: 'converged'>)
    """
    path = PATH("path", path)
    tree = read_tree(path)
    try:
        fit = MixtureFit(MixtureSpec.from_json(tree.attrs["spec"]), tree)
        require_fit_in(fit)
    except Exception as error:  # whoever wrote the file, it is told in one sentence
        raise FileError(
            f"{str(path)!r} is damaged or was changed ({reason(error)}); take another copy, or "
            "fit again."
        ) from error
    return fit


def require_fit(fit: Any, what: str) -> MixtureFit:
    """A fit, or a refusal in the name of the function that takes one."""
    if not isinstance(fit, MixtureFit):
        raise FitError(f"{what} takes a MixtureFit, got {type(fit).__name__}; fit first.")
    return fit
