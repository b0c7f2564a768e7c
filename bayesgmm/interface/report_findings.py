"""What the pictures of a report show, with numbers, for who does not see them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesgmm.analysis.selection.selected import Selection
from bayesgmm.interface.plots.words import in_percent
from bayesgmm.predictive.memberships import entropies
from bayesgmm.result.fit import MixtureFit

_COMPONENTS, _FEATURES = 6, 4  # that a sentence names
_SURE = 0.95


def mixture(fit: MixtureFit) -> str:
    """Which components there are, where, and how large."""
    p, names = fit.parameters, fit.feature_names
    weights, means, scales = (values.mean(axis=(0, 1)) for values in (p.weights, p.means, p.scales))
    spread = p.weights.std(axis=(0, 1))
    order = np.argsort(-weights, kind="stable")
    told = []
    for k in order[:_COMPONENTS]:
        where = ", ".join(
            f"{name} {means[k, j]:.4g} (standard deviation {scales[k, j]:.2g})"
            for j, name in enumerate(names[:_FEATURES])
        )
        share = in_percent(weights[k])
        sure = f" ± {100 * spread[k]:.2g}" if fit.is_posterior and share.isdigit() else ""
        told.append(f"component {k} with {share}{sure} % of the rows about {where}")
    more = len(order) - len(told)
    some = f"; and {more} smaller ones" if more > 0 else ""
    noise = "" if p.noise is None else f"; {100 * p.noise.weight.mean():.2g} % are noise"
    kind = "histogram and density" if len(names) == 1 else "rows and ellipses of components"
    return f"{fit.spec.label}, {kind}: {'; '.join(told)}{some}{noise}."


def criterion(selection: Selection, name: str = "bic") -> str:
    """Which model a criterion prefers, and by how much."""
    known = selection.table[name].dropna().sort_values()
    first, last = selection.table["n_components"].min(), selection.table["n_components"].max()
    text = f"{name.upper()} of {len(known)} models over K from {first} to {last}"
    if not len(known):
        return f"{text}."
    text += f": lowest for {known.index[0]}, {known.iloc[0]:.1f}"
    if len(known) > 1:
        text += f"; next {known.index[1]}, {known.iloc[1] - known.iloc[0]:.1f} more"
    if len(known) > 2:
        text += f"; highest {known.index[-1]}, {known.iloc[-1] - known.iloc[0]:.1f} more"
    return f"{text}."


def probabilities(selection: Selection) -> str:
    """How probable each number of components is, and what is not known."""
    by_k = selection.n_components_probability.sort_values(ascending=False)
    told = ", ".join(f"{p:.2f} for K = {k}" for k, p in by_k.items())
    models = selection.table["probability"].dropna().sort_values(ascending=False)
    text = f"Posterior probabilities: {told}. The most probable model, {models.index[0]}, has "
    text += f"{models.iloc[0]:.2f}"
    if len(models) > 1:
        text += f", and {models.index[1]} {models.iloc[1]:.2f}"
    left = selection.unsampled
    if len(models) < len(selection.table) and np.isfinite(left):
        text += f"; models that were not sampled may hold {max(left, 0.001):.2g} at most"
    return f"{text}."


def memberships(probabilities: Any, labels: Any) -> str:
    """How many rows each component has, and how sure they are."""
    values = probabilities.values
    sure = values.max(axis=1)
    counts = np.bincount(values.argmax(axis=1), minlength=values.shape[1])
    names = [str(name) for name in probabilities["component"].values]
    order = np.argsort(-counts, kind="stable")[:_COMPONENTS]
    told = ", ".join(
        f"{counts[j]:,} in " + (f"component {names[j]}" if names[j] != "noise" else "noise")
        for j in order
    )
    entropy = entropies(values) / np.log(2)
    doubtful, worst = int((sure < _SURE).sum()), int(sure.argmin())
    return (
        f"Rows by their most probable component: {told}. The mean entropy is "
        f"{entropy.mean():.2f} bits of at most {np.log2(values.shape[1]):.2f}; {doubtful:,} of "
        f"{len(sure):,} rows have a probability below {_SURE}, the least {sure[worst]:.2f} at row "
        f"{labels[worst]}."
    )
