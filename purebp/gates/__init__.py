"""Gates: the nodes of a computational graph, each with one pullback for each operand."""

from purebp.gates import arithmetic, comparison, copying, exponential, linalg, reduction
from purebp.gates.arithmetic import add, div, mul, neg, reciprocal, sqrt, square, sub
from purebp.gates.comparison import max, min
from purebp.gates.copying import branch, identity
from purebp.gates.exponential import exp, log, sigmoid, tanh
from purebp.gates.linalg import dot, matmul
from purebp.gates.reduction import mean, sum

OPS = (
    *arithmetic.OPS,
    *comparison.OPS,
    *exponential.OPS,
    *reduction.OPS,
    *linalg.OPS,
    *copying.OPS,
)

__all__ = [
    "OPS",
    "add",
    "branch",
    "div",
    "dot",
    "exp",
    "identity",
    "log",
    "matmul",
    "max",
    "mean",
    "min",
    "mul",
    "neg",
    "reciprocal",
    "sigmoid",
    "sqrt",
    "square",
    "sub",
    "sum",
    "tanh",
]
