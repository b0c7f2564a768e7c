"""A mixture for pipelines and grid searches, in place of scikit-learn's own.

Same arguments, same attributes, and from the same start the same answer, by this
package's compiled pass over the data.  What EM does here is in ``plain_em``; this
module is scikit-learn's conventions: arguments, array shapes and methods.
:func:`bayesgmm.fit` is the better search; this is the familiar one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from bayesgmm.compiled.threads import available_cores, one_blas_thread, thread_map
from bayesgmm.errors import DataError, SpecError, warn
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import Rows
from bayesgmm.expectation.statistics import row_log_density, row_memberships
from bayesgmm.interface.sklearn.conventions import DTYPES, MixtureEstimator, validated
from bayesgmm.interface.sklearn.fitted import check_arguments, keep, kept, refuse_other
from bayesgmm.interface.sklearn.online import Stream, read_batch, stepped
from bayesgmm.interface.sklearn.plain_em import PlainRun
from bayesgmm.interface.sklearn.plain_start import best_run, run
from bayesgmm.interrupts import whole_imports
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.structure import STRUCTURES, Covariance
from bayesgmm.options import COUNT

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
    learning_decay : float, default 0.7
        How :meth:`partial_fit` remembers, which scikit-learn's mixture has not: above 0.5, and
        at most 1, which counts all rows alike.  Of n rows, in units of the first batch, about
        the last ``n ** learning_decay`` count.

    Attributes
    ----------
    weights_, means_ : array of shape (K,), (K, D)
    covariances_, precisions_, precisions_cholesky_ : array
        Covariances, their inverses P, and upper factors U of these, P = U U': (K, D, D)
        for ``full``, (D, D) for ``tied``; variances, their inverses and the roots of
        these: (K, D) for ``diag``, (K,) for ``spherical``.
    converged_, n_iter_ : bool, int
        Of :meth:`partial_fit`, False and one iteration more for each batch.
    lower_bound_, lower_bounds_ : float, list of float
        Mean log-likelihood of a row at the last E-step of the best start, and at each.
    n_samples_seen_ : int or float
        Rows learned from, of which batches make more; the sum of their weights if these are given.
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

    n_iter_: int
    _stream: Stream | None

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
        learning_decay: float = 0.7,
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
        self.learning_decay = learning_decay

    # Fitting --------------------------------------------------------------

    @whole_imports
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> GaussianMixture:
        """Fit to rows ``X`` (N, D), weighted by ``sample_weight`` (N,); ``y`` is not used.

        A weight of 2 counts a row twice, and one of 0 leaves it out; scikit-learn's own
        mixture takes none.
        """
        check_arguments(self)
        observations, dtype = self._read(X, sample_weight)
        values, row_weights = observations.matrix, observations.row_weights
        best = self._best(values, row_weights, self.max_iter)
        if not best.converged and self.max_iter > 0:
            warn(
                f"EM had not converged after {self.max_iter} iterations of its best start; raise "
                "max_iter or tol, try another start, or look for degenerate data.",
                ConvergenceWarning,
            )
        return self._begin(values, row_weights, dtype, best)

    @whole_imports
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> GaussianMixture:
        """Learn from one batch ``X`` (N, D) of a stream, weighted by ``sample_weight`` (N,).

        The first call starts as ``fit`` would on its rows and takes one step of EM.  Each later
        one takes a step of stepwise EM (Cappe and Moulines 2009): an E-step on its rows
        alone, whose moments are averaged with those of all rows before, as these were when
        they were seen, and the M-step from the average.  After ``fit``, all its rows are the
        first batch, as its last E-step saw them; ``fit`` itself begins anew.

        With a clock t that counts rows, or their weights, in units of the first batch, rows
        that come in the time dt have the share t^-a dt of the average, ``a`` being
        ``learning_decay``.  So with batches of one size the t-th has a share of about t^-a;
        a larger one has the share of the smaller ones that it could be cut into; and
        with a = 1 every row has the same.  A smaller ``a`` follows a stream that changes, and
        forgets its start sooner.

        Where components overlap EM takes many steps, and a stream has few: ``fit`` to its
        first rows is then the better start.  ``lower_bound_`` is of the batch by the mixture
        before it, and so a test on rows that it has not seen.  ``max_iter`` and ``tol`` are
        not used.

        Raises
        ------
        SpecError, DataError, FitError
            Bad arguments or data, a first batch of fewer rows than components, ``n_components``
            or ``covariance_type`` changed on the way.  What was learned before is kept.

        References
        ----------
        Cappe and Moulines (2009), On-line expectation-maximization algorithm for latent data
        models, JRSS B 71.

        Examples
        --------
        >>> import numpy as np
        >>> import bayesgmm as bg
        >>> rng = np.random.default_rng(0)
        >>> model = bg.GaussianMixture(n_components=2, random_state=0)
        >>> for _ in range(50):
        ...     X = rng.normal(size=(200, 1)) + rng.choice([0, 8], size=(200, 1))
        ...     model = model.partial_fit(X)
        >>> np.sort(model.means_.ravel()).round(0) + 0.0
        array([0., 8.])
        >>> model.n_samples_seen_
        10000
        """
        check_arguments(self)
        stream = getattr(self, "_stream", None)
        values, row_weights, dtype = read_batch(self, X, sample_weight, first=stream is None)
        if stream is None:
            best = self._best(values, row_weights, max_iter=1)
            return self._begin(values, row_weights, dtype, replace(best, converged=False))
        refuse_other(self, stream.moments, values.shape[1])
        after, mixture, bound = stepped(
            stream,
            values,
            row_weights,
            kept(self),
            decay=self.learning_decay,
            reg_covar=self.reg_covar,
        )
        keep(self, mixture, np.result_type(dtype, self.means_.dtype))
        self._stream, self.n_samples_seen_ = after, after.seen
        self.converged_, self.n_iter_ = False, self.n_iter_ + 1
        self.lower_bound_, self.lower_bounds_ = bound, [bound]
        if self.verbose and self.n_iter_ % self.verbose_interval == 0:
            print(f"  batch {self.n_iter_}  {bound:.5f}")
        return self

    def _begin(
        self, values: Array, row_weights: Array | None, dtype: np.dtype[Any], best: PlainRun
    ) -> GaussianMixture:
        """Take over where EM ended, and forget what was before."""
        keep(self, best.mixture, dtype)
        self.converged_, self.n_iter_ = best.converged, len(best.bounds)
        self.lower_bound_, self.lower_bounds_ = best.bound, best.bounds
        self._stream = stream = Stream.begun(best.moments, values, row_weights)
        self.n_samples_seen_ = stream.seen if stream else 0
        return self

    def _best(self, values: Array, row_weights: Array | None, max_iter: int) -> PlainRun:
        n_rows = len(values) if row_weights is None else int(np.count_nonzero(row_weights))
        if n_rows < self.n_components:
            raise DataError(
                f"{n_rows} rows are too few for {self.n_components} components; use "
                f"n_components <= {n_rows}."
            )
        if not (self.warm_start and hasattr(self, "converged_")):
            return best_run(self, values, row_weights, max_iter)
        if self.means_.shape != (self.n_components, values.shape[1]):
            raise SpecError(
                f"The last fit had {len(self.means_)} components of {self.means_.shape[1]} "
                f"features and this one has {self.n_components} of {values.shape[1]}; use "
                "warm_start=False."
            )
        return run(self, values, row_weights, max_iter, kept(self), self.lower_bound_)

    # Using ----------------------------------------------------------------

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Posterior membership of each row in each component, (N, K)."""
        return self._by_row(X, row_memberships)

    def score_samples(self, X: Any) -> NDArray[np.floating]:
        """Log density of each row (N,)."""
        return self._by_row(X, row_log_density)

    def aic(self, X: Any) -> float:
        """Akaike's criterion on ``X``; smaller is better (Akaike 1974)."""
        scores = self.score_samples(X)
        return float(2 * self._n_parameters() - 2 * scores.sum(dtype=np.float64))

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
                rows.append(
                    rng.multivariate_normal(  # checked by the fit, which knows its scale
                        self.means_[j], covariance, int(n), check_valid="ignore"
                    )
                )
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
        mixture = kept(self)
        tril = mixture.structure.to_tril(mixture.factors, len(mixture.means))
        return MixtureParameters(mixture.weights, mixture.means, tril)

    def _by_row(self, X: Any, what: Callable[[Rows, PrecisionForm], Array]) -> NDArray[np.floating]:
        check_is_fitted(self)
        read = validated(self, X, dtype=DTYPES, order="C", force_writeable=True, reset=False)
        values = read.astype(np.float64, copy=False)
        mixture = kept(self)
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
