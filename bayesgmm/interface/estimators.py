"""The scikit-learn face: mixtures that pipelines and grid searches can use.

:class:`GaussianMixture` takes the place of scikit-learn's class of that name: same
arguments, same attributes, and from the same start the same answer, by this
package's compiled pass over the data.  It follows that class's rules, and not
those of :func:`bayesgmm.fit`, where the two differ: one start, a fixed ridge on the
variances and no bound on them, an emptied component sent to the origin.
:func:`bayesgmm.fit` is the better search; this is the familiar one.

:class:`MCMCGaussianMixture` puts a posterior behind the same methods.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from bayesgmm.errors import DataError, FitError, SpecError
from bayesgmm.model.covariance import DIAGONAL, cholesky, invert_triangular, structure_code
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import available_cores, one_blas_thread, thread_map
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.priors import Priors
from bayesgmm.model.spec import STRUCTURES, MixtureSpec, Structure
from bayesgmm.model.statistics import (
    CHUNK,
    PrecisionForm,
    Rows,
    SufficientStatistics,
    expected_statistics,
    row_log_density,
)
from bayesgmm.result import MixtureFit

Array = NDArray[np.float64]

_INITS = ("kmeans", "k-means++", "random", "random_from_data")
#: scikit-learn adds this to every count of rows, so that none is zero.
_TINY = 10 * float(np.finfo(float).eps)
#: Below this share of its squared distance to the data's centre, a variance
#: taken from moments about that centre has lost too many digits.
_LOST = 1e-7


class GaussianMixture(DensityMixin, BaseEstimator):
    """Gaussian mixture by EM, in place of ``sklearn.mixture.GaussianMixture``.

    The arguments and defaults are scikit-learn's, and so is the fit: with the same
    ``random_state`` it makes the same random draws, takes the same steps and stops at
    the same iteration.  Computation is in float64 whatever the data.

    Parameters
    ----------
    n_components : int, default 1
    covariance_type : {"full", "tied", "diag", "spherical"}, default "full"
        Each component its own ellipse of any orientation; one such ellipse for all;
        each its own axis-aligned ellipse; each its own circle.
    tol : float, default 1e-3
        EM stops when the mean log-likelihood of a row changes by less.
    reg_covar : float, default 1e-6
        Added to every variance, in the data's units.
    max_iter : int, default 100
    n_init : int, default 1
        Starts, of which the best is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default "kmeans"
        Memberships to start from: a k-means partition, k-means++ seeds, random ones,
        or random rows.
    weights_init : array of shape (K,), optional
    means_init : array of shape (K, D), optional
    precisions_init : array, optional
        Inverse covariances, in the shape of ``covariances_``.
    random_state : int, RandomState or None, default None
        For the start and for :meth:`sample`.
    warm_start : bool, default False
        Whether a further ``fit`` starts where the last one ended.
    verbose : int, default 0
        1 prints starts and iterations, 2 also times and gains.
    verbose_interval : int, default 10
        Iterations between two prints.

    Attributes
    ----------
    weights_ : array of shape (K,)
    means_ : array of shape (K, D)
    covariances_ : array
        (K, D, D) for ``full``, (D, D) for ``tied``, (K, D) for ``diag``, (K,) for
        ``spherical``.
    precisions_, precisions_cholesky_ : array
        Inverse covariances and their upper factors U, precision = U U', in the same
        shape; inverse variances and standard deviations for ``diag`` and ``spherical``.
    converged_ : bool
    n_iter_ : int
    lower_bound_ : float
        Mean log-likelihood of a row, as of the last E-step of the best start.
    lower_bounds_ : list of float
        The same at each iteration.
    n_features_in_ : int
    feature_names_in_ : array of shape (D,)
        Where the data have column names.

    Raises
    ------
    SpecError, DataError, FitError
        Bad arguments; bad data; a covariance that is not positive definite.  All are
        ``ValueError``.

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
    >>> from bayesgmm.interface.estimators import GaussianMixture
    >>> X = bg.datasets.faithful().to_pandas()
    >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
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
        covariance_type: Structure = "full",
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

    def fit(self, X: Any, y: Any = None) -> GaussianMixture:
        """Fit to rows ``X`` (N, D); ``y`` is not used."""
        for name, least in {"n_components": 1, "max_iter": 0, "n_init": 1, "verbose": 0,
                            "verbose_interval": 1}.items():  # fmt: skip
            _refuse_below(self, name, least, Integral, "a whole number")
        for name in ("tol", "reg_covar"):
            _refuse_below(self, name, 0, Real, "a number")
        _refuse_unknown(self, "covariance_type", STRUCTURES)
        _refuse_unknown(self, "init_params", _INITS)
        values = _floats(validate_data(self, X, dtype=np.float64, ensure_min_samples=2))
        Observations(values)  # refuses what overflows
        if len(values) < self.n_components:
            raise DataError(
                f"{len(values)} rows are too few for {self.n_components} components; use "
                f"n_components <= {len(values)}."
            )
        self._fit(values)
        return self

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """Fit, and the most probable component of each row (N,)."""
        return self.fit(X).predict(X)

    def _fit(self, values: Array) -> None:
        go_on = self.warm_start and hasattr(self, "converged_")
        random_state = check_random_state(self.random_state)
        best: _Run | None = None
        for number in range(1 if go_on else self.n_init):
            if self.verbose:
                print(f"Start {number}")
            if go_on:
                run = self._run(values, self._last(values.shape[1]), self.lower_bound_)
            else:
                run = self._run(values, self._start(values, random_state), -np.inf)
            if best is None or run.bound > best.bound:
                best = run
        assert best is not None  # n_init is at least 1
        if not best.converged and self.max_iter > 0:
            warnings.warn(
                f"EM had not converged after {self.max_iter} iterations of its best start; raise "
                "max_iter or tol, try another start, or look for degenerate data.",
                ConvergenceWarning,
                stacklevel=3,
            )
        kind, mixture, root = self.covariance_type, best.mixture, best.mixture.root
        self.weights_, self.means_ = mixture.weights, mixture.means
        self.covariances_ = _public(mixture.covariances, kind)
        self.precisions_cholesky_ = _public(root, kind)
        matrices = structure_code(kind) < DIAGONAL
        precisions = root @ np.swapaxes(root, -1, -2) if matrices else root**2
        self.precisions_ = _public(precisions, kind)
        self.converged_, self.n_iter_ = best.converged, len(best.bounds)
        self.lower_bound_: float = best.bound
        self.lower_bounds_ = best.bounds

    def _run(self, values: Array, mixture: _Mixture, bound: float) -> _Run:
        """EM from ``mixture``, whose mean log-likelihood was ``bound``."""
        rows = Rows.of(values, values.mean(axis=0))
        cores = available_cores(None) if len(values) > CHUNK else 1
        bounds: list[float] = []
        converged, begun = False, perf_counter()
        with one_blas_thread():
            while len(bounds) < self.max_iter and not converged:
                form = mixture.form(rows.center)
                statistics = expected_statistics(rows, form, cores=cores)
                previous, bound = bound, statistics.log_likelihood / len(values)
                if not np.isfinite(bound):
                    raise FitError("EM reached a log-likelihood that is not finite; rescale X.")
                mixture = _maximised(statistics, form, rows, self.reg_covar, self.covariance_type)
                bounds.append(bound)
                converged = abs(bound - previous) < self.tol
                if self.verbose and len(bounds) % self.verbose_interval == 0:
                    print(f"  iteration {len(bounds)}" + self._more(bound - previous, begun))
        if self.verbose and self.max_iter:
            print(f"  {'converged' if converged else 'not converged'}" + self._more(bound, begun))
        return _Run(mixture, bounds[-1] if bounds else -np.inf, bounds, converged)

    def _more(self, value: float, begun: float) -> str:
        return f"  {value:.5f}  {perf_counter() - begun:.3f} s" if self.verbose > 1 else ""

    def _start(self, values: Array, random_state: np.random.RandomState) -> _Mixture:
        """The first mixture: from memberships, or as given, or some of each."""
        k, d, kind = self.n_components, values.shape[1], self.covariance_type
        weights = _weights(self.weights_init, k)
        means = _shaped("means_init", self.means_init, (k, d))
        covariances = _covariances(self.precisions_init, kind, k, d)
        if weights is None or means is None or covariances is None:
            shares = _first_memberships(values, k, self.init_params, random_state)
            own = _moments(values, shares, self.reg_covar, kind)
            weights = own[0] if weights is None else weights
            means = own[1] if means is None else means
            covariances = own[2] if covariances is None else covariances
        return _Mixture.of(weights, means, covariances, kind)

    def _last(self, d: int) -> _Mixture:
        """The mixture that the attributes hold."""
        kind, (k, own) = self.covariance_type, self.means_.shape
        if (k, own) != (self.n_components, d):
            raise SpecError(
                f"The last fit had {k} components of {own} features and this one has "
                f"{self.n_components} of {d}; use warm_start=False."
            )
        covariances = _house("covariances_", self.covariances_, kind, k, d)
        root = _house("precisions_cholesky_", self.precisions_cholesky_, kind, k, d)
        return _Mixture(self.weights_, self.means_, covariances, root, kind)

    # Using ----------------------------------------------------------------

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The most probable component of each row (N,)."""
        return self.predict_proba(X).argmax(axis=1)

    def predict_proba(self, X: Any) -> Array:
        """Posterior membership of each row in each component, (N, K)."""
        return self._densities(X, memberships=True)[1]

    def score_samples(self, X: Any) -> Array:
        """Log density of each row (N,)."""
        return self._densities(X)[0]

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log density of a row."""
        return float(self.score_samples(X).mean())

    def aic(self, X: Any) -> float:
        """Akaike's criterion on ``X``; smaller is better (Akaike 1974)."""
        return self._criterion(X, 2.0)

    def bic(self, X: Any) -> float:
        """Schwarz's criterion on ``X``; smaller is better (Schwarz 1978)."""
        return self._criterion(X, None)

    def _criterion(self, X: Any, price: float | None) -> float:
        scores = self.score_samples(X)
        price = float(np.log(len(scores))) if price is None else price
        return float(-2 * scores.sum()) + price * self.spec().n_parameters(self.means_.shape[1])

    def sample(self, n_samples: int = 1) -> tuple[Array, NDArray[np.int64]]:
        """Draw rows (n_samples, D) and their components (n_samples,), component by component."""
        check_is_fitted(self)
        if n_samples < 1:
            raise DataError(f"n_samples must be at least 1, got {n_samples}.")
        rng = check_random_state(self.random_state)
        k, d = self.means_.shape
        counts = rng.multinomial(n_samples, self.weights_)
        kind = self.covariance_type
        rows = []
        for j, n in enumerate(counts):
            covariance = self.covariances_ if kind == "tied" else self.covariances_[j]
            if kind in ("full", "tied"):
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
        k, d = self.means_.shape
        covariances = _house("covariances_", self.covariances_, self.covariance_type, k, d)
        if structure_code(self.covariance_type) >= DIAGONAL:
            covariances = covariances[0][:, :, None] * np.eye(d)
        covariances = np.broadcast_to(covariances, (k, d, d))
        return MixtureParameters.from_covariances(self.weights_, self.means_, covariances)

    def _densities(self, X: Any, *, memberships: bool = False) -> tuple[Array, Array]:
        check_is_fitted(self)
        values = _floats(validate_data(self, X, dtype=np.float64, reset=False))
        # Not from what was fitted but from the attributes, which people do assign to.
        weights, means = np.asarray(self.weights_, float), np.asarray(self.means_, float)
        k, d = means.shape
        if values.shape[1] != d:
            raise DataError(f"X has {values.shape[1]} features and the mixture has {d}.")
        kind = self.covariance_type
        root = _house("precisions_cholesky_", self.precisions_cholesky_, kind, k, d)
        # About the mixture's own mean, so that data far from zero lose no digits.
        center = np.average(means, axis=0, weights=weights)
        form = _form(weights, means, root, kind, center)
        chunks = Rows.of(values, center).chunks()
        with one_blas_thread():
            parts = thread_map(
                lambda chunk: row_log_density(chunk, form, memberships=memberships),
                chunks, available_cores(None),
            )  # fmt: skip
        return np.concatenate([part[0] for part in parts]), np.concatenate([p[1] for p in parts])


@dataclass(frozen=True)
class _Run:
    """One run of EM and how it ended."""

    mixture: _Mixture
    bound: float
    bounds: list[float]
    converged: bool


@dataclass(frozen=True)
class _Mixture:
    """Parameters in the data's units, covariances in the shape of factors."""

    weights: Array
    means: Array
    covariances: Array
    root: Array  # upper factors of the precisions, or inverse standard deviations
    kind: Structure

    @classmethod
    def of(cls, weights: Array, means: Array, covariances: Array, kind: Structure) -> _Mixture:
        """With the roots, or a refusal where a covariance has none."""
        root = np.empty_like(covariances)
        if structure_code(kind) >= DIAGONAL:
            sound = bool(np.all(covariances > 0))
            with np.errstate(divide="ignore", invalid="ignore"):
                root = 1 / np.sqrt(covariances)
        else:
            tril, sound = np.empty_like(covariances), True
            for covariance, factor, whiten in zip(covariances, tril, root, strict=True):
                sound = sound and cholesky(np.ascontiguousarray(covariance), factor)
                if sound:
                    invert_triangular(factor, whiten)
            root = np.ascontiguousarray(np.swapaxes(root, -1, -2))
        if not sound:
            raise FitError(
                "A component's covariance is not positive definite, as where it has collapsed on "
                "one row; use fewer components, raise reg_covar, or use bayesgmm.fit, which "
                "bounds covariances."
            )
        return cls(weights, means, covariances, root, kind)

    def form(self, center: Array) -> PrecisionForm:
        """The mixture as the pass reads it, about ``center``."""
        return _form(self.weights, self.means, self.root, self.kind, center)


def _form(
    weights: Array, means: Array, root: Array, kind: Structure, center: Array
) -> PrecisionForm:
    structure, d = structure_code(kind), means.shape[1]
    means = means - center
    if structure >= DIAGONAL:
        whiten = root[0]
        shift, log_det = whiten * means, np.log(whiten).sum(axis=1)
    else:
        lower = np.swapaxes(root, -1, -2)
        shift = (lower @ means[:, :, None])[:, :, 0]
        log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        whiten = lower.reshape(-1, d)
    with np.errstate(divide="ignore"):
        log_constant = np.log(weights) - 0.5 * d * np.log(2 * np.pi) + log_det
    return PrecisionForm(np.ascontiguousarray(whiten), shift, log_constant, structure)


def _maximised(
    statistics: SufficientStatistics,
    form: PrecisionForm,
    rows: Rows,
    reg_covar: float,
    kind: Structure,
) -> _Mixture:
    """scikit-learn's M-step from the statistics about the rows' centre."""
    counts, sums = statistics.counts, statistics.sums
    n = counts + _TINY
    # An emptied component goes to the origin of the data's units.
    means = (sums - _TINY * rows.center) / n[:, None]
    cross = sums[:, :, None] * means[:, None, :]
    outer = counts[:, None, None] * means[:, :, None] * means[:, None, :]
    change = outer - cross - np.swapaxes(cross, 1, 2)
    if kind == "full":
        covariances = (statistics.scatters + change) / n[:, None, None]
        variances = np.diagonal(covariances, axis1=1, axis2=2)
    elif kind == "tied":
        covariances = (statistics.scatters + change.sum(axis=0)) / n.sum()
    else:
        covariances = (statistics.scatters + np.diagonal(change, axis1=1, axis2=2)) / n[:, None]
        variances = covariances[0]
    lost = np.zeros(len(n), dtype=bool)
    if kind != "tied":
        lost = (variances + reg_covar < _LOST * means**2).any(axis=1)
    if lost.any():  # a very narrow component: sum squares about its own mean instead
        shares = row_log_density(rows, form, memberships=True)[1]
        for j in np.flatnonzero(lost):
            deviations = rows.values - rows.center - means[j]
            if kind == "full":
                covariances[j] = (shares[:, j] * deviations.T) @ deviations / n[j]
            else:
                covariances[0, j] = shares[:, j] @ deviations**2 / n[j]
    return _Mixture.of(
        n / n.sum(), means + rows.center, _with_ridge(covariances, reg_covar, kind), kind
    )


def _with_ridge(covariances: Array, reg_covar: float, kind: Structure) -> Array:
    if kind in ("full", "tied"):
        return covariances + reg_covar * np.eye(covariances.shape[-1])
    if kind == "spherical":
        covariances = np.broadcast_to(covariances.mean(-1, keepdims=True), covariances.shape)
    return covariances + reg_covar


def _first_memberships(
    values: Array, k: int, how: str, random_state: np.random.RandomState
) -> Array:
    """Memberships (N, K) to start from, by scikit-learn's sequence of random draws."""
    from sklearn.cluster import KMeans, kmeans_plusplus

    n = len(values)
    if how == "random":
        shares = random_state.uniform(size=(n, k))
        return shares / shares.sum(axis=1, keepdims=True)
    shares = np.zeros((n, k))
    if how == "kmeans":
        labels = KMeans(k, n_init=1, random_state=random_state).fit(values).labels_
        shares[np.arange(n), labels] = 1
        return shares
    if how == "random_from_data":
        chosen = random_state.choice(n, size=k, replace=False)
    else:
        chosen = kmeans_plusplus(values, k, random_state=random_state)[1]
    shares[chosen, np.arange(k)] = 1
    return shares


def _moments(
    values: Array, shares: Array, reg_covar: float, kind: Structure
) -> tuple[Array, Array, Array]:
    """Weights, means and covariances of memberships whose rows need not sum to one."""
    n = shares.sum(axis=0) + _TINY
    means = shares.T @ values / n[:, None]
    if kind in ("full", "tied"):
        scatters = np.stack([
            (shares[:, j] * (values - mean).T) @ (values - mean) for j, mean in enumerate(means)
        ])  # fmt: skip
        covariances = scatters / n[:, None, None]
        if kind == "tied":  # rows without a component count about the origin, to be the same
            alone = ((1 - shares.sum(axis=1)) * values.T) @ values
            covariances = (scatters.sum(axis=0) + alone)[None] / n.sum()
    else:
        # Of single rows these variances are rounding alone, and the way that they are
        # computed decides ties: so it is scikit-learn's, unless it would fail there.
        covariances = shares.T @ (values * values) / n[:, None] - means**2
        if np.any(covariances + reg_covar <= 0):
            about = [shares[:, j] @ (values - mean) ** 2 for j, mean in enumerate(means)]
            covariances = np.stack(about) / n[:, None]
        covariances = covariances[None]
    return n / len(values), means, _with_ridge(covariances, reg_covar, kind)


def _public(array: Array, kind: Structure) -> Array:
    """Factors' shape to scikit-learn's."""
    if kind == "full":
        return array
    return array[0].copy() if kind != "spherical" else array[0, :, 0].copy()


def _house(name: str, array: Any, kind: Structure, k: int, d: int) -> Array:
    """scikit-learn's shape to factors'."""
    shape = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[kind]
    own = _shaped(name, array, shape)
    assert own is not None
    if kind == "full":
        return own
    return own[None] if kind != "spherical" else np.repeat(own[None, :, None], d, axis=2)


def _shaped(name: str, array: Any, shape: tuple[int, ...]) -> Array | None:
    if array is None:
        return None
    own = np.array(array, dtype=float)
    if own.shape != shape or not np.all(np.isfinite(own)):
        raise SpecError(f"{name} must be finite and of shape {shape}, got shape {own.shape}.")
    return own


def _weights(array: Any, k: int) -> Array | None:
    weights = _shaped("weights_init", array, (k,))
    if weights is not None and (np.any(weights < 0) or abs(weights.sum() - 1) > 1e-6):
        raise SpecError("weights_init must not be negative and must sum to one.")
    return weights


def _covariances(precisions: Any, kind: Structure, k: int, d: int) -> Array | None:
    """Of ``precisions_init``, in the shape of factors."""
    if precisions is None:
        return None
    own = _house("precisions_init", precisions, kind, k, d)
    if structure_code(kind) >= DIAGONAL:
        if np.any(own <= 0):
            raise SpecError("precisions_init must be positive.")
        return 1 / own
    symmetric = np.allclose(own, np.swapaxes(own, -1, -2))
    if not symmetric or np.any(np.linalg.eigvalsh(own) <= 0):
        raise SpecError("precisions_init must be symmetric and positive definite.")
    return np.linalg.inv(own)


def _floats(values: Any) -> Array:
    """For compiled code, which would be compiled once more for read-only arrays."""
    return np.require(values, dtype=np.float64, requirements=["C", "W", "E"])


def _refuse_below(model: Any, name: str, least: int, kind: type, words: str) -> None:
    value = getattr(model, name)
    if not isinstance(value, kind) or not value >= least:  # type: ignore[operator]
        raise SpecError(
            f"{type(model).__name__}: {name} must be {words} of at least {least}, got {value!r}."
        )


def _refuse_unknown(model: Any, name: str, known: tuple[str, ...]) -> None:
    value = getattr(model, name)
    if value not in known:
        raise SpecError(
            f"{type(model).__name__}: {name} must be one of {', '.join(known)}, got {value!r}."
        )


class MCMCGaussianMixture(DensityMixin, BaseEstimator):
    """Gaussian mixture by NUTS, with scikit-learn's methods.

    Every prediction is averaged over the posterior draws, so that it carries the
    parameters' uncertainty, and the whole posterior is kept in ``fit_``.

    Parameters
    ----------
    n_components : int, default 1
    covariance_type : {"full", "tied", "diag", "spherical"}, default "full"
    priors : Priors, optional
        :class:`bayesgmm.Priors`; its defaults where None.
    draws, tune, chains : int, default 1000, 500, 4
        Kept draws and warm-up draws of a chain, and chains.
    engine : str, optional
        Sampler, one of those of :func:`bayesgmm.fit`; its default where None.
    random_state : int, RandomState or None, default None
        An int is passed on as ``seed``; otherwise one is drawn from the state.
    cores : int, optional
        All that the process may use by default.

    Attributes
    ----------
    fit_ : MixtureFit
        For :func:`bayesgmm.compare`, plots, ArviZ and saving.
    weights_ : array of shape (K,)
    means_ : array of shape (K, D)
    covariances_ : array
        Posterior means, relabelled, in the shapes of :class:`GaussianMixture`.
    n_features_in_ : int
    feature_names_in_ : array of shape (D,)
        Where the data have column names.

    Raises
    ------
    SpecError, DataError
        Bad arguments or data; both are ``ValueError``.

    Warns
    -----
    FitWarning
        If the chains did not mix; ``fit_.status`` says how it ended.

    References
    ----------
    Hoffman and Gelman (2014), The No-U-Turn sampler, JMLR 15.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.estimators import MCMCGaussianMixture
    >>> model = MCMCGaussianMixture(n_components=2, random_state=1)
    >>> model.spec()
    MixtureSpec(n_components=2, covariance='full')
    >>> model.fit(bg.datasets.faithful().to_pandas()).predict([[2.0, 50.0]])  # doctest: +SKIP
    array([0])
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Structure = "full",
        priors: Priors | None = None,
        draws: int = 1000,
        tune: int = 500,
        chains: int = 4,
        engine: str | None = None,
        random_state: Any = None,
        cores: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.priors = priors
        self.draws = draws
        self.tune = tune
        self.chains = chains
        self.engine = engine
        self.random_state = random_state
        self.cores = cores

    def fit(self, X: Any, y: Any = None) -> MCMCGaussianMixture:
        """Sample the posterior given rows ``X`` (N, D); ``y`` is not used."""
        from bayesgmm.inference import fitting

        spec = self.spec()
        values = _floats(validate_data(self, X, dtype=np.float64, ensure_min_samples=2))
        names = getattr(self, "feature_names_in_", None)
        options: dict[str, Any] = {} if self.engine is None else {"engine": self.engine}
        self.fit_: MixtureFit = fitting.fit(
            spec, Observations(values, names=names), method="nuts", draws=self.draws,
            tune=self.tune, chains=self.chains, seed=self._seed(), cores=self.cores, **options,
        )  # fmt: skip
        drawn = self.fit_.parameters
        self.weights_ = drawn.weights.mean(axis=(0, 1))
        self.means_ = drawn.means.mean(axis=(0, 1))
        covariances = drawn.covariances.mean(axis=(0, 1))
        if self.covariance_type == "tied":
            covariances = covariances[:1]
        elif self.covariance_type != "full":
            covariances = np.diagonal(covariances, axis1=1, axis2=2)[None]
        self.covariances_ = _public(covariances, self.covariance_type)
        return self

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """Fit, and the most probable component of each row (N,)."""
        return self.fit(X).predict(X)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The most probable component of each row (N,), from the averaged memberships."""
        return self.predict_proba(X).argmax(axis=1)

    def predict_proba(self, X: Any) -> Array:
        """Membership of each row in each component, averaged over draws, (N, K)."""
        rows = self._rows(X)
        return np.asarray(self.fit_.predict_proba(rows))

    def score_samples(self, X: Any) -> Array:
        """Log posterior predictive density of each row (N,)."""
        rows = self._rows(X)
        return np.asarray(self.fit_.score_samples(rows))

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log posterior predictive density of a row."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1) -> tuple[Array, NDArray[np.int64]]:
        """Posterior predictive rows (n_samples, D) and their components (n_samples,)."""
        check_is_fitted(self)
        made = self.fit_.generate(n_samples, seed=self._seed())
        return made["x"].values, made["component"].values

    def spec(self) -> MixtureSpec:
        """The model as every method of this package takes it."""
        priors = Priors() if self.priors is None else self.priors
        return MixtureSpec(self.n_components, self.covariance_type, priors)

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _rows(self, X: Any) -> Observations:
        check_is_fitted(self)
        values = _floats(validate_data(self, X, dtype=np.float64, reset=False))
        # Columns are in the order of the fit by now: named so, nothing looks further.
        return Observations(values, names=self.fit_.feature_names)
