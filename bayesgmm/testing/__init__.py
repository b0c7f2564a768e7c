"""Does a method, or a covariance structure, keep every promise of this package?  One line asks.

A method is one if a fit by it is laid out like any, says the same of the same data however they
are written, and draws what it says it draws; a structure is one if its coordinates, densities
and updates belong together.  What is checked is the same for those that are here and for one
that is being written: see docs/extending.md.

>>> import bayesgmm as bg
>>> found = bg.testing.check_structure("diag", only=["number of parameters"])
>>> found["number of parameters"].passed
True
"""

from __future__ import annotations

from bayesgmm.testing.methods import check_method
from bayesgmm.testing.outcome import Check, Conformance, ConformanceError
from bayesgmm.testing.structures import check_structure

__all__ = ["Check", "Conformance", "ConformanceError", "check_method", "check_structure"]
