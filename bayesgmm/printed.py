"""The printed form of a fit: what it is, how it ended, and a table of its components."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayesgmm.result import MixtureFit

_SHOWN_COMPONENTS = 12
_SHOWN_FEATURES = 4
_TITLES = {
    "em": "EM, maximum likelihood",
    "map": "MAP, posterior mode",
    "laplace": "Laplace, {}",
    "nuts": "NUTS, {}",
}


def printed(fit: MixtureFit) -> str:
    """The text that ``print(fit)`` shows."""
    return "\n".join([*_headlines(fit), "", *_table(fit)])


def _headlines(fit: MixtureFit) -> list[str]:
    chains, draws = fit.parameters.batch_shape
    some = f"{chains} chain{'s' * (chains != 1)} x {draws} draws"
    features = len(fit.feature_names)
    likelihood = f"log-likelihood {fit.log_likelihood:.2f}"
    lines = [
        f"MixtureFit {fit.spec.label}: {_TITLES[fit.method].format(some)}",
        f"{int(fit.tree['fit/n_rows'].item())} rows, {features} feature{'s' * (features != 1)}, "
        f"{fit.n_parameters} free parameters; {likelihood}"
        + (" (mean over draws)" if fit.is_posterior else ""),
    ]
    if not fit.is_posterior:
        lines.append(f"AIC {fit.aic():.2f}, BIC {fit.bic():.2f}, ICL {fit.icl():.2f}")
    status, facts = fit.status, fit.tree["fit"].to_dataset()
    if "verdict" in facts:
        lines.append(str(facts["verdict"].item()))
    return [*lines, f"Status: {status}. {status.sentence} {status.remedy}".rstrip()]


def _table(fit: MixtureFit) -> list[str]:
    p = fit.parameters
    shown = min(p.n_components, _SHOWN_COMPONENTS)
    features = fit.feature_names[:_SHOWN_FEATURES]
    columns = [("weight", p.weights[..., :shown])]
    for title, values in (("mean", p.means), ("sd", p.scales)):
        columns += [
            (f"{title} {name}", values[..., :shown, j]) for j, name in enumerate(features)
        ]
    cells = [["component", *(str(j) for j in range(shown))]]
    for title, values in columns:
        mean, sd = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
        texts = [f"{m:.4g} ± {s:.2g}" for m, s in zip(mean, sd, strict=True)]
        cells.append([title, *(texts if fit.is_posterior else [f"{m:.4g}" for m in mean])])
    widths = [max(len(cell) for cell in column) for column in cells]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in zip(*cells, strict=True)
    ]
    if shown < p.n_components or len(features) < len(fit.feature_names):
        lines.append("(more in .summary())")
    return lines
