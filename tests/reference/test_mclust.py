"""Maxima of the likelihood against mclust, the reference in R (Scrucca, Fop, Murphy and Raftery
2016, The R Journal 8, 289-317): figures that it prints, and itself where it is installed.

mclust begins once, from a tree, and stops at a relative change of 1e-5: it may be below the maximum
found here, and never above it by more than the rounding of what it prints.
"""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from sklearn.datasets import load_iris

import bayesgmm as bg

NAMES = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII", "tied-spherical": "EII"}

#: BIC with mclust's sign, as ``mclustBIC(iris[, 1:4])`` and ``mclustBIC(faithful)`` print it
#: (versions 5); and how far below the maximum here it is known to have stopped, in units of BIC.
PRINTED = [
    ("iris", "full", 2, -574.0178, 0.001),
    ("iris", "full", 3, -580.8396, 0.001),
    ("iris", "tied", 2, -688.0972, 0.001),
    ("iris", "tied", 3, -632.9647, 0.002),
    ("iris", "diag", 2, -857.5515, 0.001),
    ("iris", "diag", 3, -744.6382, 0.7),
    ("iris", "spherical", 2, -1012.2352, 0.001),
    ("iris", "spherical", 3, -853.8144, 0.01),
    ("faithful", "full", 2, -2322.192, 0.001),
    ("faithful", "tied", 3, -2314.316, 0.03),
]


def data(name):
    return load_iris().data if name == "iris" else bg.datasets.faithful()


@pytest.mark.parametrize(("name", "covariance", "k", "printed", "stopped"), PRINTED)
def test_what_mclust_prints(name, covariance, k, printed, stopped):
    """BIC, so that the number of parameters is compared as well."""
    x = data(name)
    fit = bg.fit(bg.MixtureSpec(k, covariance), x, method="em", seed=1)
    gap = -fit.bic() - printed
    assert -0.0006 < gap < stopped + 0.0006


def rscript():
    """Rscript, or a skip that says what is missing."""
    path = shutil.which("Rscript")
    if path is None:
        pytest.skip("no Rscript on this machine, so mclust itself is not run")
    there = subprocess.run([path, "-e", "library(mclust)"], capture_output=True, check=False)
    if there.returncode:
        pytest.skip("R is here without its package mclust, which is not run")
    return path


@pytest.mark.parametrize("covariance", NAMES)
def test_mclust_itself(covariance, tmp_path):
    """Its EM to the end, from the memberships of its own first guess."""
    path = rscript()
    np.savetxt(tmp_path / "x.csv", load_iris().data, delimiter=",")
    code = (
        "suppressMessages(library(mclust)); x <- as.matrix(read.csv('x.csv', header = FALSE));"
        f"fit <- Mclust(x, G = 3, modelNames = '{NAMES[covariance]}', verbose = FALSE,"
        "control = emControl(tol = c(1e-12, 1e-12), itmax = c(100000, 100000)));"
        "cat(format(c(fit$loglik, fit$df), digits = 15))"
    )
    done = subprocess.run(
        [path, "-e", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    log_likelihood, parameters = map(float, done.stdout.split())
    fit = bg.fit(bg.MixtureSpec(3, covariance), load_iris().data, method="em", seed=1)
    assert fit.n_parameters == parameters
    assert fit.log_likelihood > log_likelihood - 1e-5
