"""Mixture discriminant analysis: a Gaussian mixture for each class, as a classifier.

Where linear and quadratic discriminant analysis have one normal a class, here are mixtures
(Hastie and Tibshirani 1996), with covariances that classes share or do not, rows whose class or
values are not known, and probabilities that carry the parameters' uncertainty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from bayesgmm.data.observations import Missing, Observations
from bayesgmm.errors import DataError, SpecError
from bayesgmm.interface.sklearn.class_labels import read_classes, read_components, read_priors
from bayesgmm.interface.sklearn.class_mixtures import TIED, ClassModel, LabelledRows
from bayesgmm.interface.sklearn.conventions import read_sample_weight, validated
from bayesgmm.interface.sklearn.shared_parts import PARTS, Part
from bayesgmm.interrupts import whole_imports
from bayesgmm.methods import METHODS, Method
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.priors import Priors
from bayesgmm.model.spec import COVARIANCE
from bayesgmm.model.structure import STRUCTURES, Covariance
from bayesgmm.options import CORES, COUNT, RANDOM_STATE, instance, one_of, optional, shown
from bayesgmm.predictive.distribution import PredictiveDistribution

Array = NDArray[np.float64]

_METHOD = one_of(*METHODS)
_MISSING = optional(one_of(*get_args(Missing)))
_MODEL_PRIORS = optional(instance("a bayesgmm.Priors", Priors))


class GaussianMixtureClassifier(ClassifierMixin, BaseEstimator):
    """A Gaussian mixture for each class (mixture discriminant analysis).

    A row is of class c with probability proportional to the class's prior probability times
    its density under the mixture of that class.  By ``"laplace"`` and ``"nuts"`` the density is the
    posterior predictive one, averaged over draws, so that few rows make cautious probabilities.

    Parameters
    ----------
    n_components : int, sequence or mapping, default 1
        Components of every class; or one number for each, in the order of ``classes_``
        or by label.  One gives discriminant analysis: quadratic, or linear if ``shared``.
    covariance : str, default "full"
        As of :class:`bayesgmm.MixtureSpec`; ``tied`` ones are of the components of one
        class, unless ``shared``.
    shared : bool or names of {"volume", "shape", "orientation"}, default False
        What the covariances of all classes have in common: nothing, everything, or parts, as
        in the EDDA family of Bensmail and Celeux (1996), where each class has one
        component and ``method="em"``.  Parts are of the data in their own units: scale
        features of different units first.
    method : str or method object, default "map"
        One of :func:`bayesgmm.fit`, or an object such as ``bg.NUTS(draws=500)``.  Maximum
        likelihood, ``"em"``, needs rows enough in each class; ``"map"``, the posterior mode,
        does not.
    priors : sequence or mapping, optional
        Prior probabilities of the classes, which sum to one.  By default frequencies of
        the labels; where some are not known, weights of the joint mixture.
    model_priors : Priors, optional
        Priors of the mixtures' parameters, not used by ``"em"``; the defaults of
        :class:`bayesgmm.Priors` where None.
    missing : {"marginal"}, optional
        What NaN in ``X`` means, as of :class:`bayesgmm.Observations`; refused where None.
    unlabelled : label or None, default -1
        A label that means that a row's class is not known, and None, NaN and NA always do.
        If it leaves one other label only, it is a class itself: -1 and 1 are two.
    random_state : int, RandomState or None, default None
    cores : int, optional
        All that the process may use by default.

    Attributes
    ----------
    classes_ : array of shape (C,)
    class_prior_ : array of shape (C,)
    mixtures_ : tuple of MixtureParameters
        Of each class; batch shape (chain, draw), (1, 1) of a point.
    fits_ : tuple of MixtureFit
        The joint fit; the fit of each class where they are apart; none where classes
        share parts of their covariances.
    n_features_in_, feature_names_in_ : int, array of shape (D,)
        The names only where the data have column names.

    Raises
    ------
    SpecError, DataError, FitError
        All ``ValueError``: bad arguments, bad data, too few rows of a class.

    Warns
    -----
    FitWarning
        If a fit did not end well, as of :func:`bayesgmm.fit`.

    References
    ----------
    Hastie and Tibshirani (1996), Discriminant analysis by Gaussian mixtures, JRSS B 58.
    Bensmail and Celeux (1996), Regularized Gaussian discriminant analysis through
    eigenvalue decomposition, JASA 91.  Geisser (1964), Posterior odds for multivariate normal
    classifications, JRSS B 26 (densities averaged over the posterior).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = bg.GaussianMixtureClassifier(shared=True, method="em").fit(X, y)
    >>> model.predict([[5.0, 3.4, 1.5, 0.2]])
    array([0])
    >>> round(model.score(X, y), 2)
    0.98
    """

    def __init__(
        self,
        n_components: int | Sequence[int] | Mapping[Any, int] = 1,
        *,
        covariance: Covariance = "full",
        shared: bool | Part | Sequence[Part] = False,
        method: Literal["em", "map", "laplace", "nuts", "tempering"] | Method = "map",
        priors: ArrayLike | Mapping[Any, float] | None = None,
        model_priors: Priors | None = None,
        missing: Missing | None = None,
        unlabelled: Any = -1,
        random_state: Any = None,
        cores: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance = covariance
        self.shared = shared
        self.method = method
        self.priors = priors
        self.model_priors = model_priors
        self.missing = missing
        self.unlabelled = unlabelled
        self.random_state = random_state
        self.cores = cores

    # Fitting --------------------------------------------------------------

    @whole_imports
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GaussianMixtureClassifier:
        """Fit to rows ``X`` (N, D) of classes ``y`` (N,), weighted by ``sample_weight`` (N,).

        A class may be unknown (see ``unlabelled``): the row then helps to find the components.
        The fit does not depend on the order of the rows.
        """
        covariance = COVARIANCE("covariance", self.covariance)
        shared = _read_shared(self.shared, covariance)
        method: str | Method = self.method
        if not isinstance(method, Method):
            method = _METHOD("method", method)
        model_priors = _MODEL_PRIORS("model_priors", self.model_priors) or Priors()
        cores, seed = CORES("cores", self.cores), self._seed()
        observations = self._rows(X, reset=True)
        weights = read_sample_weight(sample_weight, observations.n_rows)
        counted = np.ones(observations.n_rows, dtype=bool) if weights is None else weights > 0
        classes, codes = read_classes(y, self.unlabelled, observations.n_rows, counted)
        n_components = read_components(self.n_components, classes)
        priors = read_priors(self.priors, classes)
        rows = LabelledRows.of(observations, codes, weights)
        if not isinstance(shared, bool):
            _refuse_parts(method, n_components, rows)
        within = shared is False and covariance in TIED.values()
        if within and max(n_components) > 1 and len(classes) > 1 and not rows.all_known:
            raise DataError(
                f"covariance={covariance!r} within each class needs every row's class; use "
                "shared=True, or leave rows of unknown class out."
            )
        model = ClassModel(n_components, covariance, shared, method, model_priors, seed, cores)
        found = model.fitted(rows)
        self.classes_ = classes
        self.class_prior_ = found.weights if priors is None else priors
        self.mixtures_: tuple[MixtureParameters, ...] = found.mixtures
        self.fits_ = found.fits
        return self

    # Using ----------------------------------------------------------------

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row (N,)."""
        joint = self._log_joint(X)
        return np.asarray(self.classes_[joint.argmax(axis=1)])

    def predict_proba(self, X: Any) -> Array:
        """Probability (N, C) that each row is of each class."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms (N, C) of :meth:`predict_proba`, finite far away from all data as well."""
        joint = self._log_joint(X)
        return np.asarray(joint - logsumexp(joint, axis=1, keepdims=True))

    def decision_function(self, X: Any) -> Array:
        """Log prior plus log density (N, C) of each class; of two, the second's less the first's.

        (N,) of two classes, as scikit-learn has it.
        """
        joint = self._log_joint(X)
        return joint[:, 1] - joint[:, 0] if joint.shape[1] == 2 else joint

    def score_samples(self, X: Any) -> Array:
        """Log density (N,) of each row, whatever its class; low where it is like none."""
        return np.asarray(logsumexp(self._log_joint(X), axis=1))

    def sample(self, n_samples: int = 1) -> tuple[Array, NDArray[Any]]:
        """Draw rows (n_samples, D) and their classes (n_samples,), class by class."""
        check_is_fitted(self)
        n_samples = COUNT("n_samples", n_samples)
        rng = np.random.default_rng(self._seed())
        counts = rng.multinomial(n_samples, self.class_prior_)
        rows = [
            distribution.generate(int(n), seed=rng)["x"].values
            for distribution, n in zip(self._distributions(), counts, strict=True)
            if n
        ]
        return np.concatenate(rows), np.repeat(self.classes_, counts)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing is not None
        return tags

    def _log_joint(self, X: Any) -> Array:
        check_is_fitted(self)
        rows = self._rows(X, reset=False)
        each = [distribution.log_density(rows).values for distribution in self._distributions()]
        return np.stack(each, axis=1) + np.log(self.class_prior_)

    def _distributions(self) -> list[PredictiveDistribution]:
        return [PredictiveDistribution.of(mixture, self._names()) for mixture in self.mixtures_]

    def _names(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        return [f"x{j}" for j in range(self.n_features_in_)] if names is None else list(names)

    def _rows(self, X: Any, *, reset: bool) -> Observations:
        missing = _MISSING("missing", self.missing)
        checked = validated(
            self,
            X,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=True if missing is None else "allow-nan",
            ensure_min_samples=2 if reset else 1,
        )
        resolution = "auto" if reset else 0  # densities have it in them
        return Observations(checked, names=self._names(), resolution=resolution, missing=missing)

    def _seed(self) -> int:
        state = RANDOM_STATE("random_state", self.random_state)
        return state if isinstance(state, int) else check_random_state(state).randint(2**31 - 1)


def _read_shared(shared: Any, covariance: Covariance) -> frozenset[Part] | bool:
    """What is shared, without parts that these covariances have in common anyway."""
    if isinstance(shared, (bool, np.bool_)):
        return bool(shared)
    given = [shared] if isinstance(shared, str) else shared
    if not isinstance(given, (list, tuple, set, frozenset)) or not given or any(
        part not in PARTS for part in given
    ):  # fmt: skip
        raise SpecError(
            f"shared must be True, False or some of {', '.join(map(repr, PARTS))}, got "
            f"{shown(shared)}.",
            name="shared",
        )
    structure, parts = STRUCTURES[covariance], frozenset(given)
    if structure.shared:
        raise SpecError(
            f"shared={shown(shared)} is of covariances that each class has for itself; use "
            "covariance='full', 'diag' or 'spherical', or shared=True."
        )
    free = {"orientation"} if not structure.matrices else set()
    free |= {"shape"} if structure.round else set()
    if parts | free == set(PARTS):
        return True
    return parts - free if parts - free else False


def _refuse_parts(method: str | Method, n_components: list[int], rows: LabelledRows) -> None:
    """Refuse parts of covariances where they cannot be shared."""
    name = method if isinstance(method, str) else method.name
    if name != "em":
        raise SpecError(f"Classes share parts of covariances by method='em', got {name!r}.")
    if max(n_components) > 1:
        raise SpecError("Classes that share parts of covariances have one component each.")
    if not rows.all_known or not rows.complete:
        raise DataError(
            "Parts of covariances are shared where every value and class is known; use "
            "shared=True or False, or leave such rows out."
        )
