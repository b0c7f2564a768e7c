"""Monte Carlo errors: how far two estimates of one quantity may be from each other."""

from __future__ import annotations

import arviz as az
import numpy as np

import bayesgmm as bg

#: Errors that a difference may have.  A normal one is beyond five in 6 of 10 million cases, and
#: an error that is itself estimated, by 100 effective draws, is right to a tenth.
ERRORS = 5.0


def errors(fit, name):
    """Standard errors of posterior means: of the sd by the effective number of draws.

    Chains by ArviZ's.  Laplace draws are taken from weighted proposals, so that the weights'
    own noise is in them, and chance once more in the taking.
    """
    values = fit.tree["posterior"][name]
    if fit.method == "nuts":
        return np.asarray(az.mcse(values).values)
    weights = np.exp(fit.tree["fit/proposal_log_weights"].values)
    share = 1 / values.sizes["draw"] + (weights**2).sum()
    return values.std(("chain", "draw")).values * np.sqrt(share)


def z_scores(a, b):
    """Differences of two fits' posterior means in Monte Carlo standard errors, of all that vary."""
    scores = []
    for name in ("weights", "means", "scales"):
        x, y = (fit.tree["posterior"][name] for fit in (a, b))
        vary = x.std(("chain", "draw")).values > 1e-9
        gap = (x.mean(("chain", "draw")) - y.mean(("chain", "draw"))).values
        error = np.sqrt(errors(a, name) ** 2 + errors(b, name) ** 2)
        scores.append(gap[vary] / error[vary])
    return np.concatenate(scores)


def batch_error(fit, estimate, batches=20):
    """Standard error of any ``estimate`` from a fit's draws: how it varies over batches of them,
    each far longer than draws are correlated."""
    lengths = fit.parameters.batch_shape[1] * len(fit.parameters.weights) // batches
    flat = fit.parameters.flat()
    values = []
    for i in range(batches):
        part = slice(i * lengths, (i + 1) * lengths)
        p = bg.MixtureParameters(
            *(array[part][None] for array in (flat.weights, flat.means, flat.scale_tril))
        )
        lp = fit.tree["sample_stats/lp"].values.reshape(-1)[part][None]
        values.append(
            estimate(
                bg.MixtureFit.build(
                    fit.spec,
                    fit.observations,
                    p,
                    method="nuts",
                    status=fit.status,
                    sample_stats={"lp": lp},
                    facts={},
                )
            )
        )
    return np.std(values, axis=0, ddof=1) / np.sqrt(batches)
