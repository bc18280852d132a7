"""Everything that depends on the version of JAX, in one place."""

import inspect
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer
from jax.extend import source_info_util
from jax.extend.core import ClosedJaxpr, Literal
from jax.extend.core.primitives import convert_element_type_p
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from purebp.errors import file_name

enable_x64 = jax.enable_x64
ZEROS = {"Zero", "SymbolicZero"}
"""JAX's names for a cotangent that is 0."""
INSIDE_JAX = str(Path(jax.__file__).parent)
OWN = str(Path(__file__).parent)
RECOMPUTE = "RecomputeType"
"""JAX's name for what a policy of checkpoint says of a value that is not kept."""


def unify_varying(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Cast every array to vary over the union of the mesh axes that any of them varies over.

    Inside `jax.shard_map` a replicated weight has a cotangent that varies over the mesh, and JAX
    refuses it as the cotangent of a value that does not. After the cast the types agree, and the
    sum over the devices is the transpose of the cast. Outside of `shard_map` nothing happens.
    """
    leaves, tree = jax.tree.flatten(args)
    axes = [_varying_axes(leaf) for leaf in leaves]
    union = frozenset[str]().union(*axes)
    if not union:
        return args
    cast_leaves = [
        lax.pcast(leaf, tuple(sorted(union - have)), to="varying") if union - have else leaf
        for leaf, have in zip(leaves, axes, strict=True)
    ]
    return cast(tuple[Any, ...], jax.tree.unflatten(tree, cast_leaves))


def zeros_varying_as(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Zeros to start a loop's sum with, which varies over the mesh axes that x varies over."""
    return cast(jax.Array, vary_over(jnp.zeros(shape, x.dtype), sorted(_varying_axes(x))))


def vary_over(x: Any, axes: Sequence[str]) -> Any:
    """The same value as one that may vary over these axes of the mesh."""
    more = tuple(name for name in axes if name not in _varying_axes(x))
    return lax.pcast(x, more, to="varying") if more else x


def varying_axes(aval: Any) -> frozenset[str]:
    """The axes of the mesh over which a value of this type varies, inside `jax.shard_map`."""
    manual = getattr(aval, "manual_axis_type", None)
    if manual is None:  # the first JAX 0.10 had vma; a key or a token has neither
        return frozenset(getattr(aval, "vma", ()))
    return frozenset(manual.varying)


def vary_as(aval: Any, x: Any) -> Any:
    """The same value as one that may vary as values of this type do."""
    return vary_over(x, sorted(varying_axes(aval)))


def zeros_of(aval: Any) -> Any:
    """Zeros of a type: shape, dtype, sharding, and the axes of the mesh over which it varies."""
    return vary_as(aval, jnp.zeros(aval.shape, aval.dtype, out_sharding=sharding_of(aval)))


def in_place(aval: Any, x: Any) -> Any:
    """The same array where values of this type are: on a mesh, as it says there."""
    sharding = getattr(aval, "sharding", None)
    if sharding is None or sharding.mesh.empty:
        return x
    wanted = sharding_of(aval)
    if wanted is not None and jax.typeof(x).sharding != wanted:
        x = reshard(x, wanted)
    return vary_as(aval, x)


def as_weak(x: jax.Array) -> jax.Array:
    """The same array with the weak type of a number of Python."""
    return cast(
        jax.Array,
        convert_element_type_p.bind(x, new_dtype=x.dtype, weak_type=True, sharding=None),
    )


def wait_for(cotangents: list[Any], values: Any) -> tuple[list[Any], Any]:
    """Both as they are, the values once the cotangents are there.

    What one barrier lets through varies over the same axes of the mesh: a barrier for each kind.
    """
    leaves, tree = jax.tree.flatten((cotangents, values))
    kinds = [_varying_axes(leaf) for leaf in leaves]
    for kind in dict.fromkeys(kinds):
        places = [place for place, each in enumerate(kinds) if each == kind]
        through = lax.optimization_barrier([leaves[place] for place in places])
        for place, leaf in zip(places, through, strict=True):
            leaves[place] = leaf
    return cast(tuple[list[Any], Any], jax.tree.unflatten(tree, leaves))


def _varying_axes(leaf: object) -> frozenset[str]:
    return varying_axes(jax.typeof(leaf))


def explicit_sharding(x: object) -> Any:
    """The sharding of `x` where it is part of its type (a mesh with Explicit axes), else None.

    A cotangent must have the type of its argument. Where a product sums over a sharded axis, or
    an array is made anew, JAX has to be told: pass this as `out_sharding`.
    """
    return sharding_of(jax.typeof(x))


def sharding_of(aval: Any) -> Any:
    """The sharding that is part of a type, on a mesh with Explicit axes; else None."""
    sharding = getattr(aval, "sharding", None)
    is_part = sharding is not None and AxisType.Explicit in sharding.mesh.axis_types
    return sharding if is_part else None


def is_reference(aval: Any) -> bool:
    """Whether a value of this type is a mutable array, as of `jax.new_ref`."""
    return hasattr(aval, "inner_aval")


def with_axes(sharding: Any, order: Sequence[int]) -> Any:
    """The sharding of an array after a transposition; None for None."""
    if sharding is None:
        return None
    axes = [*sharding.spec, *([None] * len(order))]
    return NamedSharding(sharding.mesh, PartitionSpec(*(axes[k] for k in order)))


def is_custom_rule(target: object) -> bool:
    """Whether a function is decorated with `jax.custom_vjp` or `jax.custom_jvp`."""
    return isinstance(target, jax.custom_vjp | jax.custom_jvp)


def custom_rule_body(target: object) -> Callable[..., Any]:
    """The undecorated function under a custom rule."""
    return cast(Callable[..., Any], getattr(target, "fun"))  # noqa: B009 - not in JAX's stubs


def custom_rule(target: object) -> Callable[..., Any]:
    """The derivative under a custom rule: bwd of `custom_vjp`, the rule of `custom_jvp`.

    The body where the rule was put together by JAX, from one function for each argument.
    """
    rule = getattr(target, "bwd", None) or getattr(target, "jvp", None)
    made = rule is None or getattr(rule, "__module__", "").partition(".")[0] == "jax"
    return custom_rule_body(target) if made else cast(Callable[..., Any], rule)


def fixed_arguments(target: object) -> tuple[int, ...]:
    """The places of the arguments that a custom rule takes as they are, without a derivative."""
    body = inspect.signature(custom_rule_body(target)).parameters
    by_name = getattr(target, "nondiff_argnames", None) or ()
    places = {*(getattr(target, "nondiff_argnums", None) or ())}
    return tuple(sorted(places | {list(body).index(name) for name in by_name}))


def closed(jaxpr: Any) -> ClosedJaxpr:
    """A jaxpr with its constants; without any if it has none of its own."""
    return jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, ())


def bind_again(primitive: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Run an equation of a jaxpr with other arguments or parameters."""
    made = primitive.get_bind_params(params)
    functions, named = made if isinstance(made, tuple) else ((), made)  # the first JAX 0.10 had two
    return primitive.bind(*functions, *args, **named)


def like_aval(aval: Any) -> jax.ShapeDtypeStruct:
    """The shape and dtype of a variable of a jaxpr, to trace with."""
    more: dict[str, Any] = {"sharding": sharding_of(aval)}
    if varying_axes(aval):
        more = {"sharding": aval.sharding, "manual_axis_type": aval.manual_axis_type}
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type, **more)


def run_equation(equation: Any, args: Sequence[Any]) -> list[Any]:
    """The outputs of an equation on other arguments."""
    with equation.ctx.manager:
        out = bind_again(equation.primitive, list(args), dict(equation.params))
    return list(out) if equation.primitive.multiple_results else [out]


def interpret(
    program: Any, args: Sequence[Any], each: Callable[[Any, list[Any]], Sequence[Any]]
) -> list[Any]:
    """The outputs of a program; `each` goes from an equation and its operands to its outputs."""
    inner = closed(program).jaxpr
    values: dict[Any, Any] = dict(zip(inner.constvars, closed(program).consts, strict=True))
    values.update(zip(inner.invars, args, strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    for equation in inner.eqns:
        outs = each(equation, [read(v) for v in equation.invars])
        values.update(zip(equation.outvars, outs, strict=True))
    return [read(v) for v in inner.outvars]


def line_of_equation(equation: Any) -> str:
    """Where the user's code calls what became an equation: `loss.py:42:8 (loss)`.

    Where it was purebp that called it, the line that called purebp, without a column.
    """
    path, colon, rest = source_info_util.summarize(equation.source_info).partition(":")
    frames = frames_of_equation(equation) if path.startswith(OWN) else ()
    if frames:
        path, rest = frames[-1].file, f"{frames[-1].line} ({frames[-1].function})"
    return f"{'cell' if file_name(path) == 'cell' else path}{colon}{rest}"


class Frame(NamedTuple):
    """A function of the user's that was running, the line that it was at, and the instruction."""

    function: str
    file: str
    line: int
    at: int


def frames_of_equation(equation: Any) -> tuple[Frame, ...]:
    """The functions from which an equation came, outermost first, but those of JAX and purebp."""
    traceback = equation.source_info.traceback
    if traceback is None:
        return ()
    _, instructions = traceback.raw_frames()
    pairs = list(zip(traceback.frames, instructions, strict=True))
    return tuple(
        Frame(frame.function_name, frame.file_name, frame.line_num, at)
        for frame, at in reversed(pairs)
        if not frame.file_name.startswith((INSIDE_JAX, OWN))
    )


class TangentProgram(NamedTuple):
    """The rule of a `jax.custom_jvp` function: from primals and tangents to both outputs.

    `fixed`: how many of the operands have no tangent. `moves`: for each output whether it has one;
    only those are outputs of the program.
    """

    jaxpr: ClosedJaxpr
    fixed: int
    moves: tuple[bool, ...]


def tangent_program(equation: Any) -> TangentProgram:
    """The rule of the function that an equation calls."""
    fixed = equation.params["num_consts"]
    none = (False,) * (len(equation.invars) - fixed)
    jaxpr, consts, still = equation.params["jvp_jaxpr_fun"].call_wrapped(*none)
    return TangentProgram(ClosedJaxpr(jaxpr, consts), fixed, tuple(not zero for zero in still))


class PulledProgram(NamedTuple):
    """The rule of a `jax.custom_vjp` function.

    `forward` goes from the operands, but for the first `fixed`, to so many `saved` values and the
    outputs. `backward(residuals(args, values), bars)` has `None` where a cotangent is 0.
    """

    forward: ClosedJaxpr
    fixed: int
    saved: int
    residuals: Callable[[Sequence[Any], Sequence[Any]], list[Any]]
    backward: Callable[[Sequence[Any], Sequence[Any]], list[Any]]


def pulled_program(equation: Any, wanted: Sequence[bool]) -> PulledProgram:
    """The rule of the function that an equation calls; those not wanted stay as they are.

    In a program that was traced anew what the function closes over is an operand like the others:
    it must not move.
    """
    params = equation.params
    fixed = params["num_consts"]
    jaxpr, consts = params["fwd_jaxpr_thunk"].call_wrapped(*wanted[fixed:])
    _, tree, forwarded = params["out_trees"]()
    passed = sum(place is not None for place in forwarded)

    def residuals(args: Sequence[Any], saved: Sequence[Any]) -> list[Any]:
        left = iter(saved)
        return [next(left) if place is None else args[place] for place in forwarded]

    def backward(saved: Sequence[Any], bars: Sequence[Any]) -> list[Any]:
        found = params["bwd"].call_wrapped(*saved, *bars)
        found = found[0] if isinstance(found, tuple) else found  # JAX 0.12 has logs besides
        return [None if type(bar).__name__ in ZEROS else bar for bar in found]

    count = tree.num_leaves - passed
    return PulledProgram(ClosedJaxpr(jaxpr, consts), fixed, count, residuals, backward)


def traced_from(jaxpr: Any) -> tuple[str, str, int]:
    """The name, file and line of the function that a jaxpr was traced from, as far as is known."""
    info = getattr(closed(jaxpr).jaxpr, "debug_info", None)
    found = re.fullmatch(r"(.*?)(?: at (.*):(\d+))?", getattr(info, "func_src_info", None) or "")
    name, file, line = found.groups() if found else ("", None, None)
    return name or "a rule", file or "", int(line or 0)


def scan_counts(params: dict[str, Any]) -> tuple[int, int]:
    """How many operands of a scan are constants, and how many are carried on."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    constants, carried, _ = (len(group) for group in params["ft_in"].unpack())
    return constants, carried


def is_known(x: object) -> bool:
    """Whether the numbers of an array are there, and not traced."""
    return not isinstance(x, Tracer)


def eig_with_derivatives(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues and eigenvectors, which JAX differentiates on demand only, if it can."""
    known = inspect.signature(lax.linalg.eig).parameters
    enabled: dict[str, Any] = (
        {"enable_eigvec_derivs": True} if "enable_eigvec_derivs" in known else {}
    )
    w, v = lax.linalg.eig(a, compute_left_eigenvectors=False, **enabled)
    return w, v


def jit_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit` for a program that runs a few times only: it is compiled fast, not to be fast."""
    return cast(Callable[..., Any], jax.jit(function, compiler_options=_quick_options()))


@cache
def _quick_options() -> dict[str, Any]:
    """No optimisation, and the older code generator where there is one: it takes half the time."""
    plain: dict[str, Any] = {"xla_backend_optimization_level": 0}
    older = {**plain, "xla_cpu_use_fusion_emitters": False}
    try:
        jax.jit(jnp.negative, compiler_options=older).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:  # the newest JAX has one generator only
        return plain
    return older


def unsharded(x: jax.Array) -> jax.Array:
    """x whole on every device, where its sharding is part of its type; else x."""
    sharding = explicit_sharding(x)
    return x if sharding is None else reshard(x, NamedSharding(sharding.mesh, PartitionSpec()))


def reshard(x: jax.Array, sharding: Any) -> jax.Array:
    """x with a sharding that `explicit_sharding` gave, None for none."""
    return x if sharding is None else cast(jax.Array, jax.sharding.reshard(x, sharding))


def custom_call(equation: Any) -> tuple[Any, Any, int] | None:
    """The backward pass of a call of a `custom_vjp` function, and how its operands are arranged.

    They are so many constants, and then the leaves of the tree of its arguments. `None` where the
    call was batched, or is of a function with static arguments.
    """
    backward = equation.params["bwd"]
    if len(getattr(backward, "transforms", ())) != 1:
        return None
    ((_, (tree, *_)),) = backward.transforms
    return inspect.unwrap(backward.f), tree, equation.params["num_consts"]
