"""A posterior behind scikit-learn's methods.

Pipelines and grid searches know one way to ask for predictions; here every answer
is averaged over draws, and the whole posterior stays within reach.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from bayesgmm.data.observations import Observations
from bayesgmm.interface.sklearn.conventions import DTYPES, MixtureEstimator, validated
from bayesgmm.interface.sklearn.shapes import from_factors
from bayesgmm.interrupts import whole_imports
from bayesgmm.model.priors import Priors
from bayesgmm.model.spec import COVARIANCE, MixtureSpec
from bayesgmm.model.structure import Covariance
from bayesgmm.options import RANDOM_STATE
from bayesgmm.result.fit import MixtureFit

Array = NDArray[np.floating]


class MCMCGaussianMixture(MixtureEstimator):
    """Gaussian mixture by NUTS, with scikit-learn's methods.

    Every prediction is averaged over the posterior draws, so that it carries the
    parameters' uncertainty, and the whole posterior is kept in ``fit_``.

    Parameters
    ----------
    n_components : int, default 1
    covariance_type : str, default "full"
        As of :class:`bayesgmm.MixtureSpec`.
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
    weights_, means_, covariances_ : array
        Posterior means, relabelled, in the shapes of :class:`GaussianMixture`.
    n_features_in_, feature_names_in_ : int, array of shape (D,)
        The names only where the data have column names.

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
    >>> model = bg.MCMCGaussianMixture(n_components=2, random_state=1)
    >>> model.spec()
    MixtureSpec(n_components=2, covariance='full')
    >>> model.fit(bg.datasets.faithful().to_pandas()).predict([[2.0, 50.0]])  # doctest: +SKIP
    array([0])
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Covariance = "full",
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

    @whole_imports
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> MCMCGaussianMixture:
        """Sample the posterior given rows ``X`` (N, D); ``y`` is not used.

        ``sample_weight`` (N,) multiplies a row's log density: 2 is a row that is there twice.
        Weights that are no counts make a posterior that is narrower or wider than it should
        be, unless they sum to the number of rows that the data are worth (docs/seen.md).
        """
        from bayesgmm.inference import fitting

        spec, seed = self.spec(), self._seed()
        observations, dtype = self._read(X, sample_weight)
        options: dict[str, Any] = {} if self.engine is None else {"engine": self.engine}
        self.fit_: MixtureFit = fitting.fit(
            spec,
            observations,
            method="nuts",
            draws=self.draws,
            tune=self.tune,
            chains=self.chains,
            seed=seed,
            cores=self.cores,
            **options,
        )
        drawn = self.fit_.parameters
        self.weights_ = drawn.weights.mean(axis=(0, 1)).astype(dtype, copy=False)
        self.means_ = drawn.means.mean(axis=(0, 1)).astype(dtype, copy=False)
        covariances = drawn.covariances.mean(axis=(0, 1))
        structure = spec.structure
        factors = covariances[: structure.owners(len(covariances))]
        if not structure.matrices:
            factors = np.diagonal(covariances, axis1=1, axis2=2)[None]
        self.covariances_ = from_factors(factors, structure).astype(dtype)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Membership of each row in each component, averaged over draws, (N, K)."""
        values, rows = self._rows(X)
        return self._as_precise_as(values, np.asarray(self.fit_.predict_proba(rows)))

    def score_samples(self, X: Any) -> Array:
        """Log posterior predictive density of each row (N,)."""
        values, rows = self._rows(X)
        return self._as_precise_as(values, np.asarray(self.fit_.score_samples(rows)))

    def sample(self, n_samples: int = 1) -> tuple[Array, NDArray[np.int64]]:
        """Posterior predictive rows (n_samples, D) and their components (n_samples,)."""
        check_is_fitted(self)
        made = self.fit_.generate(n_samples, seed=self._seed())
        return made["x"].values, made["component"].values

    def spec(self) -> MixtureSpec:
        """The model as every method of this package takes it."""
        priors = Priors() if self.priors is None else self.priors
        covariance = COVARIANCE("covariance_type", self.covariance_type)
        return MixtureSpec(self.n_components, covariance, priors)

    def _seed(self) -> int:
        state = RANDOM_STATE("random_state", self.random_state)
        if isinstance(state, int):
            return state
        return int(check_random_state(state).randint(2**31 - 1))

    def _rows(self, X: Any) -> tuple[Array, Observations]:
        check_is_fitted(self)
        values = validated(self, X, dtype=DTYPES, reset=False)
        # Columns are in the order of the fit by now: named so, nothing looks further.
        return values, Observations(values, names=self.fit_.feature_names)
