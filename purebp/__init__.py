"""purebp: hand-derived backpropagation in JAX, and the instrument that proves it right."""

from purebp.autodiff import find_nonfinite, grad, jacobian, value_and_grad, vjp
from purebp.combine import chain, fanout, parallel, skip
from purebp.errors import (
    ArgumentError,
    ConvergenceError,
    CotangentError,
    DivergenceError,
    DtypeError,
    MissingPackageError,
    NoRuleError,
    OptionError,
    PurebpError,
    ResidualsError,
    ShapeError,
    TargetError,
    UnknownOpError,
    VerificationError,
)
from purebp.gate import Gate
from purebp.graph import Graph, trace
from purebp.op import Op
from purebp.verification import CheckReport, Report, compare, verify

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "CheckReport",
    "ConvergenceError",
    "CotangentError",
    "DivergenceError",
    "DtypeError",
    "Gate",
    "Graph",
    "MissingPackageError",
    "NoRuleError",
    "Op",
    "OptionError",
    "PurebpError",
    "Report",
    "ResidualsError",
    "ShapeError",
    "TargetError",
    "UnknownOpError",
    "VerificationError",
    "chain",
    "compare",
    "fanout",
    "find_nonfinite",
    "grad",
    "jacobian",
    "parallel",
    "skip",
    "trace",
    "value_and_grad",
    "verify",
    "vjp",
]
