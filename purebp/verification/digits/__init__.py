"""The program of a function run with 120 digits, and its slopes by differences of them.

What a function means, not what floating point makes of it: no overflow, no cancellation, and at a
kink one slope to either side. It follows the function's own jaxpr, one primitive at a time.

    values          arrays of mpmath numbers, and how they come from arrays and go back
    interpreter     a jaxpr, equation by equation
    elementwise     primitives that take entries one by one
    sums            reductions, products of matrices, convolutions, windows
    moves           primitives that only move entries
    factors         triangular systems and Cholesky's factor
    control         loops and branches
    slopes          one-sided slopes
"""

from purebp.verification.digits.interpreter import UnsupportedError, run
from purebp.verification.digits.slopes import Sides, one_sided

__all__ = ["Sides", "UnsupportedError", "one_sided", "run"]
