"""Gates: the nodes of a computational graph, each with one pullback for each operand."""

from purebp.gates import (
    arithmetic,
    comparison,
    copying,
    cumulative,
    dispersion,
    exponential,
    extreme,
    hyperbolic,
    linalg,
    powers,
    reduction,
    special,
    trigonometric,
)
from purebp.gates.arithmetic import add, div, mul, neg, reciprocal, sqrt, square, sub
from purebp.gates.comparison import abs, clamp, max, min, where
from purebp.gates.copying import branch, identity
from purebp.gates.cumulative import cumlogsumexp, cummax, cummin, cumprod, cumsum
from purebp.gates.dispersion import norm, std, var
from purebp.gates.exponential import exp, exp2, expm1, log, log1p, sigmoid, tanh
from purebp.gates.extreme import reduce_max, reduce_min
from purebp.gates.hyperbolic import acosh, asinh, atanh, cosh, sinh
from purebp.gates.linalg import dot, matmul
from purebp.gates.powers import cbrt, integer_pow, pow, rsqrt
from purebp.gates.reduction import logsumexp, mean, prod, sum
from purebp.gates.special import bessel_i0e, bessel_i1e, digamma, erf, erf_inv, erfc, lgamma
from purebp.gates.trigonometric import acos, asin, atan, atan2, cos, sin, tan

OPS = (
    *arithmetic.OPS,
    *powers.OPS,
    *comparison.OPS,
    *exponential.OPS,
    *trigonometric.OPS,
    *hyperbolic.OPS,
    *special.OPS,
    *reduction.OPS,
    *extreme.OPS,
    *dispersion.OPS,
    *cumulative.OPS,
    *linalg.OPS,
    *copying.OPS,
)

__all__ = [
    "OPS",
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bessel_i0e",
    "bessel_i1e",
    "branch",
    "cbrt",
    "clamp",
    "cos",
    "cosh",
    "cumlogsumexp",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "digamma",
    "div",
    "dot",
    "erf",
    "erf_inv",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "identity",
    "integer_pow",
    "lgamma",
    "log",
    "log1p",
    "logsumexp",
    "matmul",
    "max",
    "mean",
    "min",
    "mul",
    "neg",
    "norm",
    "pow",
    "prod",
    "reciprocal",
    "reduce_max",
    "reduce_min",
    "rsqrt",
    "sigmoid",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "std",
    "sub",
    "sum",
    "tan",
    "tanh",
    "var",
    "where",
]
