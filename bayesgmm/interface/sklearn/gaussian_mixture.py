"""A mixture for pipelines and grid searches, in place of scikit-learn's own.

Same arguments, same attributes, and from the same start the same answer, by this
package's compiled pass over the data.  What EM does here is in ``plain_em``; this
module is scikit-learn's conventions: arguments, array shapes and methods.
:func:`bayesgmm.fit` is the better search; this is the familiar one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from bayesgmm.compiled.threads import available_cores, one_blas_thread, thread_map
from bayesgmm.errors import DataError, SpecError, warn
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import Rows
from bayesgmm.expectation.statistics import row_log_density, row_memberships
from bayesgmm.interface.sklearn.conventions import DTYPES, MixtureEstimator
from bayesgmm.interface.sklearn.plain_em import Mixture, PlainRun, plain_em
from bayesgmm.interface.sklearn.plain_start import INITS, first_mixture
from bayesgmm.interface.sklearn.shapes import (
    from_factors,
    inverse_factors,
    squares,
    to_factors,
)
from bayesgmm.interrupts import whole_imports
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import COVARIANCE, MixtureSpec
from bayesgmm.model.structure import STRUCTURES, Covariance
from bayesgmm.options import (
    COUNT,
    LIMIT,
    LIMIT_FROM_ZERO,
    NOT_NEGATIVE,
    RANDOM_STATE,
    TRUTH,
    one_of,
)

Array = NDArray[np.float64]


class GaussianMixture(MixtureEstimator):
    """Gaussian mixture by EM, in place of ``sklearn.mixture.GaussianMixture``.

    The arguments and defaults are scikit-learn's, and so is the fit: with the same
    ``random_state`` it makes the same random draws, takes the same steps and stops at
    the same iteration.  Computation is in float64 whatever the data; of float32 data, what
    comes out is float32.

    Parameters
    ----------
    n_components : int, default 1
    covariance_type : str, default "full"
        ``full``: each component its own ellipse of any orientation; ``tied``: one such
        ellipse for all; ``diag``: each its own axis-aligned ellipse; ``spherical``: each its
        own circle.  Beyond scikit-learn's, ``tied-diag`` and ``tied-spherical``: one such
        ellipse, or circle, for all, in arrays of shape (D,) and ().
    tol : float, default 1e-3
        EM stops when the mean log-likelihood of a row changes by less.
    reg_covar : float, default 1e-6
        Added to every variance, in the data's units.
    max_iter, n_init : int, default 100, 1
        Iterations of a start, and starts, of which the best is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default "kmeans"
        Memberships to start from: a k-means partition, k-means++ seeds, random ones,
        or random rows.
    weights_init, means_init, precisions_init : array, optional
        Start from these instead, in the shapes of ``weights_``, ``means_``, ``precisions_``.
    random_state : int, RandomState or None, default None
        For the start and for :meth:`sample`.
    warm_start : bool, default False
        Whether a further ``fit`` starts where the last one ended.
    verbose, verbose_interval : int, default 0, 10
        Whether to print starts, ends, and the gain of every so many iterations.

    Attributes
    ----------
    weights_, means_ : array of shape (K,), (K, D)
    covariances_, precisions_, precisions_cholesky_ : array
        Covariances, their inverses P, and upper factors U of these, P = U U': (K, D, D)
        for ``full``, (D, D) for ``tied``; variances, their inverses and the roots of
        these: (K, D) for ``diag``, (K,) for ``spherical``.
    converged_, n_iter_ : bool, int
    lower_bound_, lower_bounds_ : float, list of float
        Mean log-likelihood of a row at the last E-step of the best start, and at each.
    n_features_in_, feature_names_in_ : int, array of shape (D,)
        The names only where the data have column names.

    Raises
    ------
    SpecError, DataError, FitError
        All ``ValueError``: bad arguments, bad data, a covariance not positive definite.

    Warns
    -----
    ConvergenceWarning
        If the best start reached ``max_iter``.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the
    EM algorithm, JRSS B 39.  Pedregosa and others (2011), Scikit-learn: machine
    learning in Python, JMLR 12.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful().to_pandas()
    >>> model = bg.GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> model.means_[model.means_[:, 0].argsort()].round(1)
    array([[ 2. , 54.5],
           [ 4.3, 80. ]])
    >>> round(model.bic(X), 1)
    2322.2
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Covariance = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    # Fitting --------------------------------------------------------------

    @whole_imports
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> GaussianMixture:
        """Fit to rows ``X`` (N, D), weighted by ``sample_weight`` (N,); ``y`` is not used.

        A weight of 2 counts a row twice, and one of 0 leaves it out; scikit-learn's own
        mixture takes none.
        """
        _check_arguments(self)
        observations, dtype = self._read(X, sample_weight)
        values, weights = observations.matrix, observations.row_weights
        n_rows = len(values) if weights is None else int(np.count_nonzero(weights))
        if n_rows < self.n_components:
            raise DataError(
                f"{n_rows} rows are too few for {self.n_components} components; use "
                f"n_components <= {n_rows}."
            )
        best = self._best(values, weights)
        if not best.converged and self.max_iter > 0:
            warn(
                f"EM had not converged after {self.max_iter} iterations of its best start; raise "
                "max_iter or tol, try another start, or look for degenerate data.",
                ConvergenceWarning,
            )
        mixture, structure = best.mixture, best.mixture.structure
        root = inverse_factors(mixture.factors, structure)
        found = {
            "weights_": mixture.weights,
            "means_": mixture.means,
            "covariances_": from_factors(squares(mixture.factors, structure), structure),
            "precisions_": from_factors(squares(root, structure), structure),
            "precisions_cholesky_": from_factors(root, structure),
        }
        for name, array in found.items():
            setattr(self, name, array.astype(dtype, copy=False))
        self.converged_, self.n_iter_ = best.converged, len(best.bounds)
        self.lower_bound_, self.lower_bounds_ = best.bound, best.bounds
        return self

    def _best(self, values: Array, row_weights: Array | None) -> PlainRun:
        if self.warm_start and hasattr(self, "converged_"):
            if self.means_.shape != (self.n_components, values.shape[1]):
                raise SpecError(
                    f"The last fit had {len(self.means_)} components of {self.means_.shape[1]} "
                    f"features and this one has {self.n_components} of {values.shape[1]}; use "
                    "warm_start=False."
                )
            return self._run(values, row_weights, self._mixture(), self.lower_bound_)
        random_state = check_random_state(self.random_state)
        runs = []
        for number in range(self.n_init):
            if self.verbose:
                print(f"Start {number}")
            first = first_mixture(self, values, row_weights, random_state)
            runs.append(self._run(values, row_weights, first, -np.inf))
        return max(runs, key=lambda run: run.bound)  # the first of equals

    def _run(
        self, values: Array, row_weights: Array | None, mixture: Mixture, bound: float
    ) -> PlainRun:
        return plain_em(
            values,
            row_weights,
            mixture,
            bound,
            max_iter=self.max_iter,
            tol=self.tol,
            reg_covar=self.reg_covar,
            print_every=self.verbose_interval if self.verbose else 0,
        )

    def _mixture(self) -> Mixture:
        # Not from what was fitted but from the attributes, which people do assign to.
        weights, means = np.asarray(self.weights_, float), np.asarray(self.means_, float)
        structure = STRUCTURES[self.covariance_type]
        root = to_factors(
            "precisions_cholesky_", self.precisions_cholesky_, structure, *means.shape
        )
        return Mixture(weights, means, inverse_factors(root, structure), structure)

    # Using ----------------------------------------------------------------

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Posterior membership of each row in each component, (N, K)."""
        return self._by_row(X, row_memberships)

    def score_samples(self, X: Any) -> NDArray[np.floating]:
        """Log density of each row (N,)."""
        return self._by_row(X, row_log_density)

    def aic(self, X: Any) -> float:
        """Akaike's criterion on ``X``; smaller is better (Akaike 1974)."""
        return float(2 * self._n_parameters() - 2 * self.score_samples(X).sum(dtype=np.float64))

    def bic(self, X: Any) -> float:
        """Schwarz's criterion on ``X``; smaller is better (Schwarz 1978)."""
        scores = self.score_samples(X)
        return float(np.log(len(scores)) * self._n_parameters() - 2 * scores.sum(dtype=np.float64))

    def _n_parameters(self) -> int:
        return self.spec().n_parameters(self.means_.shape[1])

    def sample(self, n_samples: int = 1) -> tuple[Array, NDArray[np.int64]]:
        """Draw rows (n_samples, D) and their components (n_samples,), component by component."""
        check_is_fitted(self)
        n_samples = COUNT("n_samples", n_samples)
        rng, structure = check_random_state(self.random_state), STRUCTURES[self.covariance_type]
        k, d = self.means_.shape
        counts = rng.multinomial(n_samples, self.weights_)
        rows = []
        for j, n in enumerate(counts):
            covariance = self.covariances_ if structure.shared else self.covariances_[j]
            if structure.matrices:
                rows.append(rng.multivariate_normal(self.means_[j], covariance, int(n)))
            else:
                noise = rng.standard_normal(size=(n, d))
                rows.append(self.means_[j] + noise * np.sqrt(covariance))
        return np.concatenate(rows), np.repeat(np.arange(k), counts)

    def spec(self) -> MixtureSpec:
        """The model as every method of this package takes it."""
        return MixtureSpec(self.n_components, self.covariance_type)

    def parameters(self) -> MixtureParameters:
        """The fitted mixture, such as ``bayesgmm.fit(..., start=)`` takes."""
        check_is_fitted(self)
        mixture = self._mixture()
        tril = mixture.structure.to_tril(mixture.factors, len(mixture.means))
        return MixtureParameters(mixture.weights, mixture.means, tril)

    def _by_row(self, X: Any, what: Callable[[Rows, PrecisionForm], Array]) -> NDArray[np.floating]:
        check_is_fitted(self)
        read = validate_data(self, X, dtype=DTYPES, order="C", force_writeable=True, reset=False)
        values = read.astype(np.float64, copy=False)
        mixture = self._mixture()
        if values.shape[1] != mixture.means.shape[1]:
            raise DataError(
                f"X has {values.shape[1]} features and the mixture has {mixture.means.shape[1]}."
            )
        # About the mixture's own mean, so that data far from zero lose no digits.
        center = np.average(mixture.means, axis=0, weights=mixture.weights)
        form = mixture.form(center)
        with one_blas_thread():
            parts = thread_map(
                lambda chunk: what(chunk, form),
                Rows.of(values, center).chunks(),
                available_cores(None),
            )
        return self._as_precise_as(read, np.concatenate(parts))


def _check_arguments(model: GaussianMixture) -> None:
    for name, kind in (
        ("n_components", COUNT),
        ("max_iter", LIMIT_FROM_ZERO),
        ("n_init", COUNT),
        ("verbose_interval", LIMIT),
        ("tol", NOT_NEGATIVE),
        ("reg_covar", NOT_NEGATIVE),
        ("covariance_type", COVARIANCE),
        ("init_params", one_of(*INITS)),
        ("random_state", RANDOM_STATE),
        ("warm_start", TRUTH),
    ):
        kind(f"GaussianMixture: {name}", getattr(model, name))
    if not isinstance(model.verbose, bool):  # scikit-learn takes both
        LIMIT_FROM_ZERO("GaussianMixture: verbose", model.verbose)
