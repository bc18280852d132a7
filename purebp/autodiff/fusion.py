"""Functions of JAX that are calls of their own, run by the ops of purebp.

`purebp.grad(f, rules=fused())`. A call is taken for one of `CALLS` where it has the name and its
body is what JAX's function is traced to, equation by equation. jax.nn.gelu, softmax and logsumexp
leave no call in a program: jax.jit(jax.nn.softmax) does.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from purebp import activations, gates
from purebp.autodiff import jits
from purebp.autodiff.calls import body_of
from purebp.autodiff.rule import Rule, Step, Values
from purebp.compat import closed, like_aval
from purebp.errors import OptionError
from purebp.op import Op

Options = Mapping[str, Any]


def _none(body: Any) -> Options:
    return {}


def _along(body: Any) -> Options:
    """The axis of a function along one axis."""
    params = [equation.params for equation in body.eqns]
    axes = [p["axes"] if "axes" in p else [p["axis"]] for p in params if {"axes", "axis"} & {*p}]
    return {"axis": axes[0][0]} if axes and len(axes[0]) == 1 else {}


def _over(body: Any) -> Options:
    """The axes of a reduction, and whether they stay."""
    axes = _axes_in(body)
    kept = len(body.outvars[0].aval.shape) == len(body.invars[0].aval.shape)
    return {"axis": axes, "keepdims": kept} if axes else {}


def _axes_in(body: Any) -> tuple[int, ...] | None:
    """The axes of the first reduction, of the program or of one that it calls."""
    for equation in body.eqns:
        inside = equation.params.get("jaxpr")
        axes = equation.params.get("axes") or (inside and _axes_in(closed(inside).jaxpr))
        if axes:
            return tuple(axes)
    return None


def _approximate(body: Any) -> Options:
    return {"approximate": any(equation.primitive.name == "tanh" for equation in body.eqns)}


class Call(NamedTuple):
    """A function of JAX, and the op that computes the same.

    `options`: those that both take, read off the body; `numbers`: those that are operands of the
    call where they are given, from JAX's name to the op's.
    """

    function: Callable[..., Any]
    op: Op
    options: Callable[[Any], Options] = _none
    numbers: Mapping[str, str] = {}


CALLS: dict[str, Call] = {
    "silu": Call(jax.nn.silu, activations.swish),
    "softplus": Call(jax.nn.softplus, activations.softplus),
    "log_sigmoid": Call(jax.nn.log_sigmoid, activations.log_sigmoid),
    "mish": Call(jax.nn.mish, activations.mish),
    "elu": Call(jax.nn.elu, activations.elu, numbers={"alpha": "alpha"}),
    "celu": Call(jax.nn.celu, activations.celu, numbers={"alpha": "alpha"}),
    "selu": Call(jax.nn.selu, activations.selu),
    "leaky_relu": Call(
        jax.nn.leaky_relu, activations.leaky_relu, numbers={"negative_slope": "slope"}
    ),
    "gelu": Call(jax.nn.gelu, activations.gelu, _approximate),
    "glu": Call(jax.nn.glu, activations.glu, _along),
    "softmax": Call(jax.nn.softmax, activations.softmax, _along),
    "log_softmax": Call(jax.nn.log_softmax, activations.log_softmax, _along),
    "standardize": Call(
        jax.nn.standardize, activations.standardize, _along, numbers={"epsilon": "eps"}
    ),
    "logsumexp": Call(jax.nn.logsumexp, gates.logsumexp, _over),
    "norm": Call(jnp.linalg.norm, gates.norm, _over),
    "_var": Call(jnp.var, gates.var, _over, numbers={"ddof": "ddof"}),
    "_std": Call(jnp.std, gates.std, _over, numbers={"ddof": "ddof"}),
}


class Done(NamedTuple):
    """What an op leaves behind for its pair."""

    op: Op
    residuals: Any


_FOUND: WeakKeyDictionary[Any, dict[Any, Options | None]] = WeakKeyDictionary()
"""The options of the op for a body and its numbers; `None` where it is another function."""


@cache
def fused(*names: str) -> Mapping[str, Rule | None]:
    """Rows for `rules=`: the functions of these names, all of `CALLS` by default, by fused ops.

    They keep fewer arrays, and slopes that hold at zeros and in the tails. Whether they are faster
    hangs on the program: softplus and softmax were, gelu was not.

    Raises:
        OptionError: for a name that is not in `CALLS`.

    >>> import jax, purebp
    >>> float(purebp.grad(jax.nn.softplus, rules=purebp.autodiff.fused("softplus"))(0.0))
    0.5
    """
    unknown = [name for name in names if name not in CALLS]
    if unknown:
        raise OptionError(f"fused has {unknown[0]!r}, expected some of {', '.join(CALLS)}")
    calls = {name: CALLS[name] for name in names or CALLS}
    rule = Rule(partial(_forward, calls), _backward)
    return {"jit": rule, "pjit": rule}


def _forward(calls: Mapping[str, Call], step: Step, args: Values) -> tuple[list[Any], Any]:
    call = calls.get(step.equation.params["name"])
    options = None if call is None else _options_of(call, step.equation)
    if call is None or options is None:
        return jits.jit.forward(step, args)
    y, residuals = call.op.fwd(args[0], **options)
    return [y], Done(call.op, residuals)


def _backward(step: Step, saved: Any, bars: Values) -> Values:
    if not isinstance(saved, Done):
        return jits.jit.backward(step, saved, bars)
    return [saved.op.bwd(saved.residuals, bars[0])[0], *(None for _ in step.wanted[1:])]


def _options_of(call: Call, equation: Any) -> Options | None:
    operands = equation.invars[1:]
    if not all(isinstance(v, Literal) for v in operands) or len(operands) > len(call.numbers):
        return None
    numbers = tuple(np.asarray(v.val).item() for v in operands)
    body = body_of(equation)
    found = _FOUND.setdefault(body, {})
    if numbers not in found:
        found[numbers] = _read(call, equation.invars[0].aval, body, numbers)
    return found[numbers]


def _read(call: Call, aval: Any, body: Any, numbers: tuple[Any, ...]) -> Options | None:
    """The options with which JAX's function is traced to this body."""
    if not jnp.issubdtype(aval.dtype, jnp.floating):
        return None
    options = call.options(closed(body).jaxpr)
    given = dict(zip(call.numbers, numbers, strict=False))
    try:
        traced = jax.make_jaxpr(lambda x: call.function(x, **options, **given))(like_aval(aval))
    except (TypeError, ValueError):
        return None
    if str(_called(traced)) != str(body):
        return None
    return {**options, **{call.numbers[name]: value for name, value in given.items()}}


def _called(program: Any) -> Any:
    """The body of the one call that a program is, or the program."""
    equations = program.jaxpr.eqns
    is_call = len(equations) == 1 and "name" in equations[0].params
    return body_of(equations[0]) if is_call else program
