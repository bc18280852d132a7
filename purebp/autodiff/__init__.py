"""A reverse mode from the table of hand-derived gates: backpropagation over traced programs.

api        grad, value_and_grad, vjp, jacobian
tape       forward with a tape, back along it
table      for each primitive its rule
rule       what a rule is, and how a gate is one
straight   a function as a straight line of nodes, with the cotangents at each
nonfinite  where the first nan or infinity is born
settings   from the parameters of a primitive to the options of a gate
several    rules of primitives that stand for several gates
products   dot_general
calls      checkpoint, the user's own rules
jits       jit: kept or opened
fused      functions of JAX that are run by purebp's ops
"""

from purebp.autodiff.api import grad, jacobian, value_and_grad, vjp
from purebp.autodiff.fused import fused
from purebp.autodiff.nonfinite import NonFinite, find_nonfinite
from purebp.autodiff.rule import Rule, Step
from purebp.autodiff.table import EXACT_TAILS

__all__ = [
    "EXACT_TAILS",
    "NonFinite",
    "Rule",
    "Step",
    "find_nonfinite",
    "fused",
    "grad",
    "jacobian",
    "value_and_grad",
    "vjp",
]
