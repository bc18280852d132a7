"""Which known layers a name may mean."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from purebp.catalog import OPS
from purebp.errors import PurebpError
from purebp.op import Op
from purebp.verification.cases import Case, make_args, variants
from purebp.verification.homework import dense, images, losses, norms, sequences
from purebp.verification.homework.call import Arg, Call
from purebp.verification.target import make_target

TABLES = (dense.CALLS, images.CALLS, norms.CALLS, sequences.CALLS, losses.CALLS)
CALLS: Mapping[str, tuple[Call, ...]] = {
    name: calls for table in TABLES for names, calls in table.items() for name in names
}
"""Every known name, and how layers of that name are called; the most usual way first."""

OTHER_NAMES = {"silu": "swish", "logistic": "sigmoid", "rmsnorm": "rms_norm"}
FILLERS = frozenset(
    {
        *("naive", "im2col", "strides", "fast", "alt", "slow", "reshape", "simple", "manual"),
        *("vectorized", "vectorised", "loop", "loops", "cython", "numpy", "np", "jax", "jnp"),
        *("my", "own", "custom", "hand", "layer", "op", "func", "function"),
    }
)
"""Words in a name that do not change what is meant."""


def calls_named(name: str) -> tuple[Call, ...]:
    """The ways in which a layer of a name may be called; none if the name is not known."""
    for stem in (name.lower().strip("_"), stem_of(name)):
        if stem in CALLS:
            return CALLS[stem]
        op = OPS.get(OTHER_NAMES.get(stem, stem))
        if op is not None:
            return _calls_of(op)
    return ()


def stem_of(name: str) -> str:
    """The name without the words that do not change what is meant."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return "_".join(word for word in snake.split("_") if word and word not in FILLERS)


def _calls_of(op: Op) -> tuple[Call, ...]:
    """An op of the catalogue as it stands, on the arguments that it is verified with."""
    if _is_unary(op):
        return (Call(op.name, dense.ELEMENTWISE, dense.ELEMENTWISE_SIZES, (op.define,)),)
    try:
        target = make_target(op)
        first = variants(target)[0]
        drawn = make_args(target, Case(first, "normal", "normal", 0))
    except PurebpError:
        return ()
    if not all(isinstance(array, np.ndarray) or hasattr(array, "dtype") for array in drawn):
        return ()
    names = tuple(target.argument_name(place) for place in range(len(drawn)))

    def draw(seed: int) -> tuple[Any, ...]:
        case = Case(first, "normal", "normal", seed)
        return tuple(_wide(array) for array in make_args(target, case))

    def define(*arrays: Any) -> Any:
        y = op.define(*arrays)
        return y[0] if op.has_aux else y

    args = tuple(Arg(name, "") for name in names)
    return (Call(op.name, args, {}, (define,), draw=draw),)


def _is_unary(op: Op) -> bool:
    """Whether an op takes one array, of any shape and any numbers."""
    needed = [parameter for parameter in op.signature.parameters if not parameter.optional]
    if len(needed) != 1 or op.domains or op.has_aux or op.example is not None:
        return False
    return all(dim.variadic for spec in needed[0].specs for dim in spec.dims)


def _wide(array: Any) -> Any:
    wide = np.asarray(array)
    return wide.astype(np.float64) if wide.dtype.kind == "f" else wide
