"""What a selection found: the table, the fits, and a sentence on what they support."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.analysis.selection.bootstrap import BootstrapTest, bootstrap_test
from bayesgmm.errors import FitError, warn
from bayesgmm.inference.maximum.soundness import fewest_rows
from bayesgmm.markup import block, of_frame, sentences
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.options import Progress, one_of, shown
from bayesgmm.predictive.averaged import AveragedMixture
from bayesgmm.predictive.distribution import PredictiveDistribution
from bayesgmm.result.fit import MixtureFit
from bayesgmm.result.record import doubt
from bayesgmm.result.status import Status

if TYPE_CHECKING:
    import pandas as pd

#: Words for Bayes factors up to these (Kass and Raftery 1995).
_WORDS = ((3.0, "hardly"), (20.0, "moderately"), (150.0, "strongly"), (np.inf, "very strongly"))
#: A probability that is too much to be left in models that are not known.
_MUCH = 0.02
#: Columns that a notebook shows first, what decides before what is the way to it.
_FIRST = ("probability", "log_evidence", "log_evidence_se", "elpd_loo", "elpd_loo_se", "bic")
#: A model with a smaller share in an average is not warned of.
_NOTHING = 0.01


@dataclass(frozen=True)
class Selection:
    """Candidate models of the same data, and what is known of each.

    Made by :func:`bayesgmm.select`.

    Attributes
    ----------
    table : pandas.DataFrame
        A row per model, best first by ``by``, equals by simplicity: ``n_components``,
        ``covariance``, ``noise`` (whether the model has it), ``same_as`` (other covariances
        asked for by which it is the same model: ``tied`` is ``full`` at K = 1),
        ``log_likelihood``, ``n_parameters``,
        ``aic``, ``bic``, ``icl`` (smaller is better); and where the model was sampled
        ``elpd_loo`` and ``elpd_loo_se`` (larger is better), ``elpd_diff`` to the best and
        its error ``dse``, the stacking ``weight``, ``bad_rows`` (Pareto k-hat above 0.7),
        ``log_evidence`` and ``log_evidence_se``, what to know of it (``evidence_note``), the
        posterior ``probability`` of the model among those sampled and its Monte Carlo error
        ``probability_se``; ``few_rows``, the number of components with fewer than 2 D + 2
        rows (the mean over draws where it was sampled, else at EM's maximum); ``status`` and
        ``sampling`` (how EM and the sampler ended, or why there is no fit).
    fits : mapping of label to MixtureFit
        The EM fits.
    posteriors : mapping of label to MixtureFit
        Those that were sampled.
    by : str
        What orders the table.
    unsampled : float
        What the models that were not sampled may hold of the posterior probability, judged
        as :func:`bayesgmm.select` says; NaN where no evidence was asked for.
    prior_on_k : mapping of K to weight, or None
        The prior on K of the probabilities, where one was given.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()[:60]
    >>> found = bg.select(X, [1, 2], ["full"], by="bic", posteriors=0, seed=1)
    >>> list(found.table.index), found.best.spec.label
    (['K=2, full', 'K=1, full'], 'K=2, full')
    """

    table: pd.DataFrame
    fits: Mapping[str, MixtureFit]
    posteriors: Mapping[str, MixtureFit]
    by: str
    unsampled: float = float("nan")
    prior_on_k: Mapping[int, float] | None = None

    @property
    def best(self) -> MixtureFit:
        """The best model's posterior where it was sampled, else its EM fit."""
        return self[str(self.table.index[0])]

    def __getitem__(self, label: str) -> MixtureFit:
        """A fit by any name of its model: ``"K=1, tied"`` is ``"K=1, full"``."""
        own = self._label(label)
        return self.posteriors.get(own, self.fits[own])

    def _label(self, name: str) -> str:
        """The table's label of a model."""
        for label, fit in self.fits.items():
            spec = fit.spec
            if isinstance(name, str) and any(
                spec.replace(covariance=covariance).label == name
                for covariance in spec.synonyms(len(fit.feature_names))
            ):
                return label
        raise FitError(f"There is no fit {shown(name)}; there are {', '.join(self.fits)}.")

    @property
    def simplest(self) -> str:
        """Of the sampled models, the one of fewest parameters within one standard error of
        the best ``elpd_loo``."""
        sampled = self.table.dropna(subset=["elpd_loo"])
        if not len(sampled):
            raise FitError("No model was sampled; select with posteriors=2 or more.")
        near = sampled[~(sampled["elpd_diff"].abs() > sampled["dse"])]
        return str(near.sort_values(["n_parameters", "bic"]).index[0])

    @property
    def n_components_probability(self) -> pd.Series:
        """Posterior probability of each K: the sum over its models."""
        known = self.table.dropna(subset=["probability"])
        return known.groupby("n_components")["probability"].sum()

    def average(self, by: str = "evidence") -> PredictiveDistribution:
        """The predictive distribution averaged over the sampled models.

        Parameters
        ----------
        by : {"evidence", "stacking"}, default "evidence"
            Models count by their posterior probability, which supposes that one of
            them is true; or by stacking weights, which predict best together whether
            or not one is (Yao, Vehtari, Simpson and Gelman 2018, Bayesian Analysis 13).

        Returns
        -------
        PredictiveDistribution
            Density, moments, conditionals and new data, as of any fit.

        Warns
        -----
        FitWarning
            Of each model with a hundredth of the whole or more whose chains are not known to
            have converged.
        """
        columns = {"evidence": "probability", "stacking": "weight"}
        by = one_of(*columns)("by", by)
        known = self.table[columns[by]].dropna()
        known = known[[label in self.posteriors for label in known.index]]
        if not len(known):
            raise FitError(
                f"No model has a {columns[by]}; select with by='evidence' or 'all', and two "
                "models sampled or more."
            )
        fits = [self.posteriors[str(label)] for label in known.index]
        for fit, share in zip(fits, known, strict=True):
            if share >= _NOTHING and (told := doubt(fit, "average")):
                warn(told)
        most = max(fit.spec.n_components for fit in fits)
        parts = [
            _shared(fit.parameters.flat(), share, most)
            for fit, share in zip(fits, known, strict=True)
            if share > 0
        ]
        *values, log_noise = (np.concatenate(each) for each in zip(*parts, strict=True))
        noisy = [fit.noise_box for fit in fits if fit.spec.noise]
        together = AveragedMixture(*values, *((log_noise, noisy[0]) if noisy else ()))
        return PredictiveDistribution(together, fits[0].feature_names)

    def bootstrap_test(
        self,
        smaller: str,
        larger: str,
        *,
        max_replicates: int = 199,
        exceedances: int = 10,
        seed: Any = None,
        cores: int | None = None,
        progress: Progress | None = None,
    ) -> BootstrapTest:
        """Test one model against a larger by simulation, as ``("K=2, full", "K=3, full")``.

        Options are those of :func:`bayesgmm.bootstrap_test`.
        """
        fits = (self.fits[self._label(name)] for name in (smaller, larger))
        return bootstrap_test(
            *fits,
            max_replicates=max_replicates,
            exceedances=exceedances,
            seed=seed,
            cores=cores,
            progress=progress,
        )

    @property
    def verdict(self) -> str:
        """One sentence: what the criterion supports, how firmly, and what is not known."""
        if self.by in ("evidence", "all") and self.table["probability"].notna().any():
            return self._by_evidence() + "."
        ok = self.table[self.table["status"] == Status.CONVERGED.value]
        if self.by == "loo" and (len(ok) or self.table["elpd_loo"].notna().any()):
            return f"{self._by_loo()}{self._largest_by_loo()}."
        if not len(ok):
            return "No model converged; the table says why."
        if self.by in ("evidence", "all"):
            return "No model has a probability; the table says why."
        best = ok.index[0]
        text = f"{self.by.upper()} prefers {best}"
        if len(ok) > 1:
            gap = ok[self.by].iloc[1] - ok[self.by].iloc[0]
            text += f", {gap:.1f} below {ok.index[1]}"
        if self.table["elpd_loo"].notna().sum() > 1:
            text += "; " + self._by_loo()
        return text + self._few(str(best)) + "."

    def _by_loo(self) -> str:
        # Of all that were sampled, however EM ended: ``dse`` is of the difference to the best.
        sampled = self.table.dropna(subset=["elpd_loo"])
        sampled = sampled.sort_values("elpd_loo", ascending=False)
        if len(sampled) < 2:
            return "elpd_loo compares nothing, with fewer than two models sampled"
        first, second = sampled.index[:2]
        gap = sampled["elpd_loo"].iloc[0] - sampled["elpd_loo"].iloc[1]
        error = sampled["dse"].iloc[1]
        if gap > 2 * error:
            text = (
                f"elpd_loo puts {first} above {second} by {gap:.1f} ± {error:.1f}, more than "
                "twice its error"
            )
        else:  # which of the two is above is noise, so they are named in the table's order
            one, other = (label for label in self.table.index if label in (first, second))
            text = (
                f"elpd_loo does not tell {one} from {other}, with a difference of {gap:.1f} ± "
                f"{error:.1f}, less than twice its error"
            )
        if self.by in ("loo", "all") and self.simplest != first:
            text += f"; the simplest within one error of the best is {self.simplest}"
        return text

    def _largest_by_loo(self) -> str:
        """That the best is the largest K asked for, or did not mix, where it is so."""
        known = self.table["elpd_loo"].dropna()
        if not len(known):
            return ""
        label = str(known.idxmax())
        largest = self.table["n_components"].max()
        text = self._ended(label)
        if self.table.loc[label, "n_components"] == largest > 1:
            text += f"; K = {largest} is the largest asked for, so larger ones may be better"
        return text

    def _ended(self, label: str) -> str:
        """How sampling a model ended, where not well."""
        how = Status(self.table.loc[label, "sampling"])
        return "" if how.but_for_labels else f"; the sampling of {label} ended {str(how)!r}"

    def _by_evidence(self) -> str:
        known = self.table.dropna(subset=["log_evidence"])
        known = known.sort_values("log_evidence", ascending=False, kind="stable")
        label, first = str(known.index[0]), known.iloc[0]
        text = (
            f"Of the {len(known)} models sampled, {label} has probability "
            f"{first['probability']:.2f} (± {first['probability_se']:.3f}) among them"
        )
        if self.prior_on_k is not None:
            text += ", with the prior_on_k given"
        by_k = self.n_components_probability
        if len(known) > 1:
            gap = float(first["log_evidence"] - known["log_evidence"].iloc[1])
            word = next(word for limit, word in _WORDS if np.exp(min(gap, 700)) <= limit)
            factor = f"{np.exp(gap):.3g}" if gap < 14 else f"exp({gap:.0f})"
            text += f": the evidence {word} prefers it to {known.index[1]} (Bayes factor {factor})"
            text += f", and K = {by_k.idxmax()} has probability {by_k.max():.2f}"
        text += self._not_known(by_k) + self._few(label) + self._ended(label)
        if self.by == "all":
            ok = self.table[self.table["status"] == Status.CONVERGED.value]
            if len(ok):
                text += f"; BIC prefers {ok['bic'].idxmin()}; {self._by_loo()}"
        return text

    def _not_known(self, by_k: pd.Series) -> str:
        """What may lie in models that were not sampled, or not asked for."""
        left = int(self.table["log_evidence"].isna().sum())
        text = ""
        if left:
            held = "under 0.1" if self.unsampled < 1e-3 else f"{100 * self.unsampled:.2g}"
            them = "the other one" if left == 1 else f"the {left} others"
            text = f"; {them}, not sampled, may hold {held} % of the probability"
            if self.unsampled >= _MUCH:
                text += ", so sample more (posteriors=)"
        largest = self.table["n_components"].max()
        if by_k.get(largest, 0.0) >= _MUCH and largest > 1:
            text += (
                f"; K = {largest}, the largest asked for, has probability {by_k[largest]:.2f}, so "
                "larger ones may have as much"
            )
        return text

    def _few(self, label: str) -> str:
        """That components of a model are of few rows, if they are."""
        few = float(self.table.loc[label, "few_rows"])
        if not few >= 0.5:
            return ""
        fewest = fewest_rows(len(self.fits[label].feature_names))
        count = f"{few:.0f}" if label not in self.posteriors else f"in the mean {few:.1f}"
        return f"; {label} has {count} components with fewer than {fewest} rows"

    def __repr__(self) -> str:
        shown = self._shown().to_string()
        return f"Selection of {len(self.table)} models\n{shown}\n{self.verdict}"

    def _repr_html_(self) -> str:
        number, whole = "{:.2f}".format, "{:.0f}".format
        shown = self._shown().drop(columns=["n_components", "covariance", "noise"], errors="ignore")
        # The label says those.
        first = [name for name in _FIRST if name in shown.columns]
        shown = shown[first + [name for name in shown.columns if name not in first]]
        formats = dict.fromkeys(shown.select_dtypes("number").columns, number)
        formats |= {"n_components": whole, "n_parameters": whole}
        many = f"Selection of {len(self.table)} models"
        return block(many, sentences([self.verdict]), of_frame("Best first", shown, formats))

    def _shown(self) -> pd.DataFrame:
        hidden = [
            "bad_rows",
            "sampling",
            "elpd_diff",
            "dse",
            "weight",
            "probability_se",
            "evidence_note",
        ]
        hidden += [name for name in ("noise", "same_as") if not self.table[name].any()]
        return self.table.drop(columns=hidden).dropna(axis=1, how="all").head(10)


def _shared(parameters: MixtureParameters, share: float, k: int) -> tuple[NDArray[np.float64], ...]:
    """Log weights (S, k), means, factors and log weights of noise (S,) of draws.

    They have a share of the whole together, with empty components up to ``k``.
    """
    s, own, d = parameters.means.shape
    more = ((0, 0), (0, k - own))
    identity = np.broadcast_to(np.eye(d), (s, k - own, d, d))
    with np.errstate(divide="ignore"):
        each = np.log(share) - np.log(s)  # share / s may be below numbers
        log_weights = np.log(np.pad(parameters.weights, more)) + each
        noise = parameters.class_weights[:, own:].sum(axis=1)  # 0 without
        log_noise = np.log(noise) + each
    return (
        log_weights,
        np.pad(parameters.means, (*more, (0, 0)), mode="edge"),
        np.concatenate([parameters.scale_tril, identity], axis=1),
        log_noise,
    )
