"""A reverse mode from the table of hand-derived gates: backpropagation over traced programs.

api          grad, value_and_grad, vjp, jacobian
flow         which values depend on the inputs, and which a cotangent reaches
tape         forward with a tape, back along it
table        for each primitive its rule
rule         what a rule is, and how a gate is one
settings     from the parameters of a primitive to the options of a gate
several      rules of primitives that stand for several gates
products     dot_general; matrices: linear algebra; named: primitives that are objects
calls        checkpoint, the user's own rules; jits: calls that are kept or opened
fusion       functions of JAX that are run by purebp's ops, where asked for
split        a program and its backward pass as two; keep: what lies between them
branches     cond and switch; loops: scan; sums: what waits until after a loop; whiles: while
shards       shard_map; collectives: what goes over the devices
straight     a function as a straight line of nodes, with the cotangents at each
nonfinite    where the first nan or infinity is born
"""

from purebp.autodiff.api import grad, jacobian, value_and_grad, vjp
from purebp.autodiff.fusion import fused
from purebp.autodiff.nonfinite import NonFinite, find_nonfinite
from purebp.autodiff.rule import Rule, Step
from purebp.autodiff.table import EXACT_TAILS
from purebp.autodiff.whiles import bounded

__all__ = [
    "EXACT_TAILS",
    "NonFinite",
    "Rule",
    "Step",
    "bounded",
    "find_nonfinite",
    "fused",
    "grad",
    "jacobian",
    "value_and_grad",
    "vjp",
]
