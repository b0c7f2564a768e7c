"""What a fit is, read from its tree: parameters, data, status, criteria at a point."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.compiled.triangular import correlation_factor
from bayesgmm.data.observations import Missing, Observations
from bayesgmm.data.reopening import opened_again
from bayesgmm.errors import FitError, SpecError
from bayesgmm.mixture.noise import Noise
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import TEXT, WHICH
from bayesgmm.predictive.memberships import averaged_memberships, entropies
from bayesgmm.result.by_block import summed
from bayesgmm.result.status import Status
from bayesgmm.result.tree import told_of_rows

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class FitRecord:
    """A spec and the xarray tree of its fit, with names for what the tree holds."""

    spec: MixtureSpec
    tree: xr.DataTree

    # What it is -----------------------------------------------------------

    @cached_property
    def facts(self) -> xr.Dataset:
        """The group ``fit``: what a method says of itself, one variable each."""
        return self.tree["fit"].to_dataset()

    def fact(self, name: str, default: Any = None) -> Any:
        """One number or text of :attr:`facts`, or ``default`` where it is not known."""
        name = TEXT("name", name)
        return self.facts[name].item() if name in self.facts else default

    @property
    def statistics(self) -> xr.Dataset:
        """The group ``sample_stats``: what is known of each draw, ``lp`` its log density."""
        return self.tree["sample_stats"].to_dataset()

    @property
    def method(self) -> str:
        """``"em"``, ``"map"``, ``"laplace"``, ``"nuts"`` or ``"tempering"``, as asked for."""
        return str(self.tree.attrs["method"])

    @property
    def status(self) -> Status:
        """How the fit ended."""
        return Status(str(self.fact("status")))

    @property
    def note(self) -> str:
        """Which components of a point fit are artefacts or rest on few rows; mostly empty."""
        return str(self.fact("note", ""))

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
        noise = None
        if self.spec.noise:
            noise = Noise(facts["mode_noise_weight"].values[number], self.noise_box)
        weights, means, tril = (
            facts[f"mode_{name}"].values[number] for name in ("weights", "means", "scale_tril")
        )
        return MixtureParameters(weights, means, tril, noise)

    def _mode_facts(self) -> xr.Dataset:
        if "mode_share" not in self.facts:
            raise FitError(
                "Only fits with method='nuts' or 'tempering', by the engine bayesgmm, know their "
                "modes."
            )
        return self.facts

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
        noise = None
        if self.spec.noise:
            noise = Noise(posterior["noise_weight"].values, self.noise_box)
        weights, means = posterior["weights"].values, posterior["means"].values
        return MixtureParameters(weights, means, tril, noise)

    @property
    def noise_box(self) -> NDArray[np.float64] | None:
        """The box (2, D) over which noise is uniform; None where its density is given by row."""
        return self._constant.get("noise_box")

    @cached_property
    def _constant(self) -> dict[str, NDArray[Any]]:
        """What is known of the rows beside their values, by name."""
        if "constant_data" not in self.tree.children:
            return {}
        group = self.tree["constant_data"].to_dataset()
        return {str(name): variable.values for name, variable in group.data_vars.items()}

    @property
    def has_rows(self) -> bool:
        """Whether the fitted data are in memory, with the fit."""
        return "observed_data" in self.tree.children

    @cached_property
    def of_rows(self) -> dict[str, Any]:
        """What is known of the fitted data without them, as :func:`told_of_rows` has it."""
        if "rows" in self.tree.attrs:
            return dict(json.loads(self.tree.attrs["rows"]))
        return told_of_rows(self.observations)

    @property
    def missing(self) -> Missing | None:
        """What a value that was not seen means: what it meant in the fitted data."""
        return self.of_rows["missing"]

    @cached_property
    def observations(self) -> Observations:
        """The data that were fitted; those that are not kept with the fit are opened again."""
        if not self.has_rows:
            if "data" not in self.tree.attrs:
                raise FitError(
                    "This fit was saved without its data, which this needs; give data=... where "
                    "it can be given, or fit again."
                )
            return opened_again(str(self.tree.attrs["data"]))
        constant = self._constant
        x = self.tree["observed_data"].to_dataset()["x"]
        found = Observations(
            x,
            row_weights=constant.get("row_weights"),
            resolution=constant.get("resolution", 0),
            missing="marginal" if np.isnan(x.values).any() else self.tree.attrs.get("missing"),
            errors=constant.get("errors"),
            labels=constant.get("labels"),
            allowed=constant.get("allowed"),
            background=constant.get("background", self.noise_box),
            selection=constant.get("selection"),
        )
        return found._with(found.table, self.fact("sample_of"))

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the data: at the point, or its mean over draws."""
        return float(self.fact("log_likelihood"))

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        return int(self.fact("n_parameters"))

    # Point criteria -------------------------------------------------------

    def _point(self, criterion: str) -> None:
        if self.is_posterior:
            reason = (
                "defined at a point estimate, and this fit holds draws; use method='em', or "
                "bayesgmm.compare for elpd_loo."
            )
            raise FitError(f"{criterion} is {reason}", reason=reason)

    def aic(self) -> float:
        """Akaike's criterion, -2 log L + 2 p; smaller is better (Akaike 1974)."""
        self._point("AIC")
        return -2 * self.log_likelihood + 2 * self.n_parameters

    def bic(self) -> float:
        """Schwarz's criterion, -2 log L + p log N; smaller is better (Schwarz 1978).

        N is the total weight of the rows of which something was seen.
        """
        self._point("BIC")
        n = self.telling_weight
        return -2 * self.log_likelihood + self.n_parameters * float(np.log(n))

    @property
    def telling_weight(self) -> float:
        """Sum of the weights of the rows of which something was seen."""
        told = self.fact("telling_weight")  # files of before have none
        return float(self.fact("total_weight") if told is None else told)

    def icl(self) -> float:
        """BIC plus twice the entropy of the memberships; smaller is better.

        Components that overlap cost, so it counts clusters rather than
        components (Biernacki, Celeux and Govaert 2000).  It takes a pass over the rows.
        """
        self._point("ICL")
        return self.bic() + 2 * summed(self._entropy, self.observations)

    def _entropy(self, rows: Observations) -> float:
        entropy = entropies(averaged_memberships(self.parameters, rows).values)
        if rows.has_holes:  # a row that says nothing is not one whose cluster is in doubt
            entropy[rows.empty] = 0.0
        weights = rows.row_weights
        return float(entropy.sum() if weights is None else entropy @ weights)


def doubt(fit: FitRecord, what: str, *, by_component: bool = False) -> str:
    """That ``what`` is uncertain, computed from this fit; "" where its status gives no reason."""
    told = reason_to_doubt(fit, by_component=by_component)
    return f"{what} of {fit.spec.label} by {fit.method} is {told}" if told else ""


def reason_to_doubt(fit: FitRecord, *, by_component: bool = False) -> str:
    """Why what is computed from this fit is uncertain; "" where its status gives no reason.

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
    return f"uncertain, for the fit is {str(status)!r} ({sentence}): {remedy}."
