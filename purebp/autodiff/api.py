"""`purebp.grad` and its kin: a reverse mode by the table of hand-derived gates."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from purebp.autodiff.flow import is_inexact
from purebp.autodiff.rule import Rule
from purebp.autodiff.table import OPENED, RULES
from purebp.autodiff.tape import run_backward, run_forward
from purebp.compat import as_weak, zeros_of
from purebp.errors import ArgumentError, DtypeError, OptionError, ShapeError, in_words, named

Function = Callable[..., Any]
Argnums = int | Sequence[int]
Rules = Mapping[str, Rule | None]
CustomRules = Literal["honour", "open"]


def vjp(
    function: Function,
    *primals: Any,
    has_aux: bool = False,
    rules: Rules | None = None,
    custom_rules: CustomRules = "honour",
) -> Any:
    """(y, pullback), or (y, pullback, aux): the pullback goes from y_bar to the cotangents.

    Args:
        function: of arrays in any trees; with `has_aux` it returns (y, aux).
        primals: where it is evaluated.
        has_aux: whether it returns something beside y that is not differentiated.
        rules: rows that are added to the table of rules, or take the place of its own.
        custom_rules: whether a `jax.custom_vjp` or `jax.custom_jvp` function has the derivative
            that its author gave ("honour"), or that of its body ("open"): a check of the former.

    The cotangent of an integer or boolean argument has dtype float0, as in JAX.

    Raises:
        NoRuleError: if y depends on a primal through a primitive without a rule.

    >>> import jax.numpy as jnp
    >>> y, pullback = vjp(lambda x: jnp.sin(x) * x, 2.0)
    >>> [round(float(bar), 4) for bar in pullback(1.0)]
    [0.077]
    """
    flat, tree = jax.tree.flatten(primals)
    leaves = list(map(_as_array, flat))

    @wraps(function)
    def flat_function(*flat: Any) -> Any:
        out = function(*jax.tree.unflatten(tree, flat))
        if has_aux and not (isinstance(out, tuple) and len(out) == 2):
            raise ArgumentError(f"{named(function)} returned {in_words(out)}, expected (y, aux)")
        return out

    jaxpr, shape = jax.make_jaxpr(flat_function, return_shape=True)(*leaves)
    wanted = [is_inexact(leaf) for leaf in leaves]
    first = jax.tree.structure(shape[0] if has_aux else shape).num_leaves
    arriving = [place < first for place in range(len(jaxpr.out_avals))]
    outs, tape = run_forward(jaxpr, leaves, wanted, arriving, _table(custom_rules, rules))
    made = jax.tree.unflatten(jax.tree.structure(shape), outs)
    y, aux = made if has_aux else (made, None)

    def pullback(y_bar: Any) -> Any:
        bars = _cotangents_of(y, y_bar)
        bars += [None] * (len(outs) - len(bars))
        found = run_backward(tape, bars)
        return jax.tree.unflatten(tree, list(map(_filled, found, leaves)))

    return (y, pullback, aux) if has_aux else (y, pullback)


def value_and_grad(
    function: Function,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    allow_int: bool = False,
    rules: Rules | None = None,
    custom_rules: CustomRules = "honour",
) -> Function:
    """A function that returns (y, x_bar), or ((y, aux), x_bar); y is one real number.

    Args:
        function: of arrays in any trees, to one real number; with `has_aux` to (y, aux).
        argnums: the arguments that are differentiated; a tuple of numbers gives a tuple.
        has_aux: whether it returns something beside y that is not differentiated.
        allow_int: whether integers may be among them; their gradient has dtype float0.
        rules: rows that are added to the table of rules, or take the place of its own.
        custom_rules: "honour" or "open", see `vjp`.

    Raises:
        ShapeError: if y is no single number.
        DtypeError: if y is not real, or an argument has no derivative.

    >>> import jax.numpy as jnp
    >>> y, x_bar = value_and_grad(lambda x: jnp.sum(x * x))(jnp.array([1.0, 3.0]))
    >>> float(y), x_bar.tolist()
    (10.0, [2.0, 6.0])
    """
    table: Any = {"rules": rules, "custom_rules": custom_rules}

    @wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        of_chosen, chosen = _chosen(function, argnums, args, kwargs)
        if not allow_int:
            _must_be_inexact(function, chosen)

        y, pullback, *aux = vjp(of_chosen, *chosen, has_aux=has_aux, **table)
        _must_be_real_number(function, y)
        bars = pullback(jnp.ones_like(y))
        bars = bars[0] if isinstance(argnums, int) else tuple(bars)
        return ((y, *aux) if has_aux else y), bars

    return differentiated


def grad(
    function: Function,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    allow_int: bool = False,
    rules: Rules | None = None,
    custom_rules: CustomRules = "honour",
) -> Function:
    """A function that returns x_bar, or (x_bar, aux): see `value_and_grad`.

    >>> import jax.numpy as jnp
    >>> float(grad(jnp.tanh)(0.0)), float(grad(grad(jnp.sin))(0.5)) == -float(jnp.sin(0.5))
    (1.0, True)
    """
    table: Any = {"rules": rules, "custom_rules": custom_rules}
    both = value_and_grad(function, argnums, has_aux=has_aux, allow_int=allow_int, **table)

    @wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        value, bars = both(*args, **kwargs)
        return (bars, value[1]) if has_aux else bars

    return differentiated


def jacobian(
    function: Function,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    rules: Rules | None = None,
    custom_rules: CustomRules = "honour",
) -> Function:
    """A function that returns dy/dx, row by row: for each leaf of y one for each leaf of x.

    The axes of y come first, then those of x.

    >>> import jax.numpy as jnp
    >>> jacobian(lambda x: jnp.array([x[0] * x[1], x[1]]))(jnp.array([2.0, 3.0])).tolist()
    [[3.0, 2.0], [0.0, 1.0]]
    """
    table: Any = {"rules": rules, "custom_rules": custom_rules}

    @wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        of_chosen, chosen = _chosen(function, argnums, args, kwargs)
        _must_be_inexact(function, chosen)

        y, pullback, *aux = vjp(of_chosen, *chosen, has_aux=has_aux, **table)
        leaves, tree = jax.tree.flatten(y)
        rows = [_rows(pullback, leaves, tree, place) for place in range(len(leaves))]
        single = isinstance(argnums, int)
        blocks = [row[0] if single else tuple(row) for row in rows]
        matrix = jax.tree.unflatten(tree, blocks)
        return (matrix, *aux) if has_aux else matrix

    return differentiated


def _table(custom_rules: CustomRules, rules: Rules | None) -> Rules:
    if custom_rules not in ("honour", "open"):
        raise OptionError(f"custom_rules is {custom_rules!r}, expected 'honour' or 'open'")
    for name, rule in (rules or {}).items():
        if rule is not None and not isinstance(rule, Rule):
            raise OptionError(
                f"rules has {in_words(rule)} for {name!r}, expected purebp.autodiff.Rule(forward, "
                "backward), or None where the derivative is 0"
            )
    return {**RULES, **(OPENED if custom_rules == "open" else {}), **(rules or {})}


def _rows(pullback: Function, leaves: list[Any], tree: Any, place: int) -> Any:
    """The cotangents of all units of one output, its axes in front."""
    leaf = leaves[place]
    units = jnp.eye(leaf.size, dtype=leaf.dtype).reshape(leaf.size, *leaf.shape)

    def pull(unit: Any) -> Any:
        bars = [unit if k == place else jnp.zeros_like(y) for k, y in enumerate(leaves)]
        return pullback(jax.tree.unflatten(tree, bars))

    rows = jax.vmap(pull)(units)
    return jax.tree.map(lambda bar: bar.reshape(*leaf.shape, *bar.shape[1:]), rows)


def _chosen(
    function: Function, argnums: Argnums, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Function, list[Any]]:
    """The function of its differentiated arguments alone, and these arguments."""
    several = [argnums] if isinstance(argnums, int) else list(argnums)
    if not all(isinstance(place, int) for place in several):
        raise ArgumentError(f"argnums is {argnums!r}, expected a number or several")
    for place in several:
        if not -len(args) <= place < len(args):
            raise ArgumentError(
                f"{named(function)}: argnums has {place}, expected the place of one of its "
                f"{len(args)} positional arguments"
            )

    @wraps(function)
    def of_chosen(*moved: Any) -> Any:
        given = list(args)
        for place, value in zip(several, moved, strict=True):
            given[place] = value
        return function(*given, **kwargs)

    return of_chosen, [args[place] for place in several]


def _as_array(leaf: Any) -> Any:
    """A leaf as an array; a number of Python keeps its weak type."""
    try:
        if not isinstance(leaf, str | bytes):
            return jnp.asarray(leaf)
    except (TypeError, ValueError):
        pass
    raise DtypeError(f"an argument has {in_words(leaf)} in it, expected arrays and numbers")


def _must_be_inexact(function: Function, chosen: Any) -> None:
    for leaf in map(_as_array, jax.tree.leaves(chosen)):
        if not is_inexact(leaf):
            raise DtypeError(
                f"{named(function)}: a differentiated argument has dtype {leaf.dtype}, expected "
                "floating numbers; pass others by another place than those in argnums, or "
                "allow_int=True"
            )


def _must_be_real_number(function: Function, y: Any) -> None:
    if not hasattr(y, "shape"):
        raise ShapeError(f"{named(function)} returned {in_words(y)}, expected one real number")
    if y.shape != ():
        raise ShapeError(
            f"{named(function)} returned {in_words(y)}, expected one real number; sum it, or use "
            "vjp or jacobian"
        )
    if not jnp.issubdtype(y.dtype, jnp.floating):
        raise DtypeError(
            f"{named(function)} returned a number of dtype {y.dtype}, expected a real one"
        )


def _filled(bar: Any, leaf: Any) -> Any:
    """The cotangent of a leaf: zeros where it does not matter, float0 where there is none."""
    if not is_inexact(leaf):
        return np.zeros(np.shape(leaf), jax.dtypes.float0)
    aval = jax.typeof(leaf)
    bar = zeros_of(aval) if bar is None else bar
    return as_weak(bar) if aval.weak_type else bar


def _cotangents_of(y: Any, y_bar: Any) -> list[Any]:
    """The leaves of a cotangent, checked against those of the output."""
    expected, came = jax.tree.structure(y), jax.tree.structure(y_bar)
    if expected != came:
        raise ArgumentError(f"the cotangent has the structure {came}, expected {expected}, as y")
    bars = list[Any]()
    for out, bar in zip(jax.tree.leaves(y), jax.tree.leaves(y_bar), strict=True):
        if not is_inexact(out):
            bars.append(None)
            continue
        if jnp.iscomplexobj(bar) and not jnp.iscomplexobj(out):
            raise DtypeError(f"a cotangent is complex, expected {jnp.result_type(out)}, as y")
        if jnp.shape(bar) != jnp.shape(out):
            raise ShapeError(
                f"a cotangent has shape {jnp.shape(bar)}, expected {jnp.shape(out)}, as y"
            )
        bars.append(jnp.asarray(bar, jnp.result_type(out)))
    return bars
