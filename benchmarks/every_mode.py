"""Whether each mode has its share: default fits against long runs of tempering, and evidence
against references.

    python benchmarks/every_mode.py                      # half an hour
    python benchmarks/every_mode.py --only evidence
    python benchmarks/every_mode.py --only draws

*Evidence*: galaxies (1,000 km/s) K = 3 to 6 and Old Faithful K = 3 and 4, values taken as exact
(``resolution=0``), five seeds each, against estimates by tempering with another implementation
of the density, with errors of their own.

*Draws*: label-free summaries (log posterior, log density at rows, weights in order of size,
smallest and largest means and volumes) of default fits against those of 4 x 3,000 draws by
tempering from the prior, which shares no mode, proposal or trajectory with them.  The largest
difference of means, in standard deviations of the posterior; both have Monte Carlo error, so
that with some twenty summaries 0.1 is nothing.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from default_fits import overlapping

import bayesgmm as bg
from bayesgmm.analysis.selection.select import CANDIDATES
from bayesgmm.inference.convergence import label_free

EXACT = {
    "galaxies": bg.Observations(bg.datasets.galaxies().values / 1000, resolution=0),
    "faithful": bg.Observations(bg.datasets.faithful(), resolution=0),
}
REFERENCES = {  # log evidence and its error
    ("galaxies", 3): (-790.694 + 566.43, 0.004),
    ("galaxies", 4): (-788.185 + 566.43, 0.03),
    ("galaxies", 5): (-787.50 + 566.43, 0.05),
    ("galaxies", 6): (-787.35 + 566.43, 0.02),
    ("faithful", 3): (-1162.080, 0.007),
    ("faithful", 4): (-1162.86, 0.07),
}


def evidence() -> None:
    print("| model | reference | found, five seeds | largest distance, errors |\n|---|---|---|---|")
    for (name, k), (reference, own) in REFERENCES.items():
        found, apart = [], []
        for seed in range(1, 6):
            fit = bg.fit(bg.MixtureSpec(k), EXACT[name], method="nuts", seed=seed)
            each = bg.log_evidence(fit, seed=seed)
            found.append(f"{each.value:.3f} ± {each.se:.3f}")
            apart.append(abs(each.value - reference) / np.hypot(each.se, own))
        print(
            f"| {name}, K = {k} | {reference:.3f} ± {own} | {'; '.join(found)} | "
            f"{max(apart):.1f} |",
            flush=True,
        )


def draws() -> None:
    cases = [("galaxies", "full", k) for k in range(2, 7)]
    cases += [
        (name, s, k) for name in ("faithful", "overlap") for s in CANDIDATES for k in (2, 3, 4)
    ]
    data = {**EXACT, "overlap": bg.Observations(overlapping(2, 1))}
    print("| fit | status | sampler | seconds | largest bias, sds | of |")
    print("|---|---|---|---|---|---|")
    for name, covariance, k in cases:
        spec, observations = bg.MixtureSpec(k, covariance), data[name]
        began = time.perf_counter()
        fit = bg.fit(spec, observations, method="nuts", seed=1)
        took = time.perf_counter() - began
        long = bg.fit(spec, observations, method="tempering", draws=3000, tune=1000, seed=2)
        worst, of = 0.0, ""
        sides = [
            label_free(each.parameters, each.tree["sample_stats/lp"].values, observations)
            for each in (fit, long)
        ]
        for what in sides[0].keys() & sides[1].keys():
            ours, reference = sides[0][what], sides[1][what]
            if reference.std() > 0:
                bias = abs(ours.mean() - reference.mean()) / reference.std()
                worst, of = max((worst, of), (float(bias), what))
        facts = fit.tree["fit"].to_dataset()
        print(
            f"| {name}, {covariance}, K = {k} | {fit.status.value} | {facts['sampler'].item()} | "
            f"{took:.1f} | {worst:.2f} | {of} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["evidence", "draws"])
    only = parser.parse_args().only
    warnings.simplefilter("ignore", bg.FitWarning)
    if only != "draws":
        evidence()
        print()
    if only != "evidence":
        draws()


if __name__ == "__main__":
    main()
