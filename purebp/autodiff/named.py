"""Rules of the primitives of JAX 0.12 that are objects, by the names of their classes."""

from typing import Any

import jax
import jax.numpy as jnp

from purebp.autodiff.calls import opened
from purebp.autodiff.flow import refused
from purebp.autodiff.rule import Rule, Step, Values
from purebp.autodiff.tape import run_backward, run_forward
from purebp.compat import like_aval, run_equation


def _ldexp_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    return run_equation(step.equation, args), args[1]


def _ldexp_backward(step: Step, power: Any, bars: Values) -> Values:
    """x 2^n is linear in x, and its own transpose."""
    return [*run_equation(step.equation, [bars[0], power]), None]


ldexp = Rule(_ldexp_forward, _ldexp_backward)


def _root_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    outs = run_equation(step.equation, args)
    return outs, (list(args), outs)


def _root_backward(step: Step, saved: Any, bars: Values) -> Values:
    """f(p, y) = 0: p_bar is the pullback of f in p at -w, with (df/dy)^T w = y_bar.

    `custom_root` brings the solution of df/dy x = b, which is linear in b: its pullback gives w.
    """
    args, outs = saved
    primitive = step.equation.params["_prim"]
    solve_consts, guess, f_consts, tangent_consts = jax.tree.unflatten(primitive.in_tree, args)
    root = jax.tree.unflatten(primitive.out_tree, outs)
    root = root[0] if primitive.has_aux else root
    leaves, tree = jax.tree.flatten(root)
    y_bars = _filled(leaves, bars[: len(leaves)])

    def solution(*b: Any) -> Any:
        return primitive.tangent_solve(tangent_consts, root, jax.tree.unflatten(tree, b))

    def residual(*p: Any) -> Any:
        consts = jax.tree.unflatten(jax.tree.structure(f_consts), p)
        return primitive.f(consts, root)

    before = len(jax.tree.leaves((solve_consts, guess)))
    constants = jax.tree.leaves(f_consts)
    wanted = step.wanted[before:][: len(constants)]
    solved = _pulled(step, solution, leaves, [True] * len(leaves), y_bars)
    found = _pulled(
        step, residual, constants, wanted, [bar if bar is None else -bar for bar in solved]
    )
    after = len(jax.tree.leaves(tangent_consts))
    return [*(None for _ in range(before)), *found, *(None for _ in range(after))]


def _pulled(step: Step, function: Any, args: Values, wanted: Any, bars: Values) -> list[Any]:
    """The pullback of a function at some arguments, by the same table."""
    program = jax.make_jaxpr(function)(*(like_aval(jax.typeof(x)) for x in args))
    _, tape = run_forward(program, args, wanted, [True] * len(bars), step.rules)
    return run_backward(tape, bars)


root = Rule(_root_forward, _root_backward)


def _map_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    """D v, or D^T v, of the slope D of a function in a root: what JAX hands to `tangent_solve`.

    By the table too: D^T v is the pullback of v, which is linear in v, and D v the pullback of
    that.
    """
    primitive = step.equation.params["_prim"]

    def slope(*flat: Any) -> Any:
        consts, root, v = jax.tree.unflatten(primitive.in_tree, flat)
        at, tree = jax.tree.flatten(root)

        def function(*leaves: Any) -> Any:
            return primitive.f(consts, jax.tree.unflatten(tree, leaves))

        def pullback(*bars: Any) -> list[Any]:
            return _filled(at, _pulled(step, function, at, [True] * len(at), bars))

        if primitive.transposed:
            return pullback(*jax.tree.leaves(v))
        zeros = [jnp.zeros(out.aval.shape, out.aval.dtype) for out in step.equation.outvars]
        found = _pulled(step, pullback, zeros, [True] * len(zeros), jax.tree.leaves(v))
        return _filled(zeros, found)

    program = jax.make_jaxpr(slope)(*(like_aval(v.aval) for v in step.equation.invars))
    return run_forward(program, args, step.wanted, step.arriving, step.rules)


def _filled(values: Values, bars: Values) -> list[Any]:
    """The cotangents, zeros for `None`."""
    return [jnp.zeros_like(x) if bar is None else bar for x, bar in zip(values, bars, strict=True)]


NAMED = {
    "Ldexp": ldexp,
    "CustomRoot": root,
    "_RootLinearMap": Rule(_map_forward, opened.backward),
}


def _rule_of(step: Step) -> Rule:
    name = type(step.equation.params["_prim"]).__name__
    if name not in NAMED:
        raise refused(step.equation, f"{name} brings rules in JAX's own terms, which are not read")
    return NAMED[name]


def _forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    return _rule_of(step).forward(step, args)


def _backward(step: Step, saved: Any, bars: Values) -> Values:
    return _rule_of(step).backward(step, saved, bars)


named = Rule(_forward, _backward)
