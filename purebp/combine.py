"""Pairs from pairs. A net is written as its layers; its backward pass is theirs in reverse.

Each combination is an Op. `params[i]` is the tuple of the arguments that op i takes besides the
value that is carried. A carried tuple is handed on as several leading arguments, except to another
chain, fanout or skip, which takes it whole. Where a value goes to several ops, the gradients add.
If an op has aux output, the combination has too: a tuple with one entry for each op.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from purebp.errors import ArgumentError, ShapeError, in_words
from purebp.op import Op
from purebp.residuals import Residuals, Static, spec_of

Params = Sequence[Sequence[Any]] | None
_carrying = partial(Op, takes_tuple=True, composed=True)


def chain(*ops: Op, name: str = "") -> Op:
    """f(x, params) = op_n(... op_1(x, *params[0]) ..., *params[n-1]).

    Maths: y_i = op_i(y_{i-1}); backward, y_{i-1}_bar, params_i_bar = bwd_i(res_i, y_i_bar).
    Shapes: x and the output are those of the first and the last op.
    Residuals: those of each op.
    Raises: ArgumentError if params does not have one tuple for each op.
    Source: the chain rule; CS231n, lecture 4.

    >>> from purebp.gates import add, mul
    >>> f = chain(add, mul)
    >>> y, res = f.fwd((-2.0, 5.0), ((), (-4.0,)))
    >>> float(y), [float(bar) for bar in f.bwd(res, 1.0)[0]]
    (-12.0, [-4.0, -4.0])
    """
    name = _name("chain", name, ops)
    has_aux = any(op.has_aux for op in ops)

    def definition(x: Any, params: Params = None) -> Any:
        y, aux = x, list[Any]()
        for op, extra in zip(ops, _extras(name, ops, params), strict=True):
            y, more = _split_aux(op, op.define(*_leading(op, y), *extra))
            aux.append(more)
        return (y, tuple(aux)) if has_aux else y

    def forward(x: Any, params: Params = None) -> Any:
        extras = _extras(name, ops, params)
        y, aux, saved, carried = x, list[Any](), list[Residuals](), list[Any]()
        for op, extra in zip(ops, extras, strict=True):
            carried.append(y)
            out, res = op.fwd(*_leading(op, y), *extra)
            y, more = _split_aux(op, out)
            aux.append(more)
            saved.append(res)
        out = (y, tuple(aux)) if has_aux else y
        return out, (tuple(saved), Static(_layout(ops, carried, params, extras)))

    def backward(res: Any, y_bar: Any) -> tuple[Any, Any]:
        saved, layout = res[0], res[1].value
        params_bar = list[Any]()
        for index, op in reversed(list(enumerate(ops))):
            y_bar, extra_bar = layout.split(index, op.bwd(saved[index], y_bar))
            params_bar.append(extra_bar)
        return y_bar, layout.params_bar(reversed(params_bar))

    return _carrying(forward, backward, definition, name=name, has_aux=has_aux)


def parallel(*ops: Op, name: str = "") -> Op:
    """f(x_1, ..., x_n, params) = (op_1(x_1, *params[0]), ..., op_n(x_n, *params[n-1])).

    Maths: y_i = op_i(x_i); x_i_bar, params_i_bar = bwd_i(res_i, y_i_bar).
    Shapes: those of the ops.
    Residuals: those of each op.
    Raises: ArgumentError if there is not one x, and one tuple of params, for each op.
    Source: the chain rule.

    >>> from purebp.gates import exp, square
    >>> y, res = parallel(exp, square).fwd(0.0, 3.0)
    >>> [float(bar) for bar in parallel(exp, square).bwd(res, (1.0, 1.0))]
    [1.0, 6.0]
    """
    name = _name("parallel", name, ops)
    has_aux = any(op.has_aux for op in ops)

    def split(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Params]:
        if len(args) not in (len(ops), len(ops) + 1):
            raise ArgumentError(
                f"{name}: {len(args)} arguments, expected one for each of the {len(ops)} ops "
                "(and the tuple of their params)"
            )
        return args[: len(ops)], args[len(ops)] if len(args) > len(ops) else None

    def definition(*args: Any) -> Any:
        xs, params = split(args)
        each = zip(ops, xs, _extras(name, ops, params), strict=True)
        return _gather(ops, [op.define(*_leading(op, x), *extra) for op, x, extra in each])

    def forward(*args: Any) -> Any:
        xs, params = split(args)
        extras = _extras(name, ops, params)
        each = zip(ops, xs, extras, strict=True)
        pairs = [op.fwd(*_leading(op, x), *extra) for op, x, extra in each]
        layout = Static((_layout(ops, xs, params, extras), len(args) > len(ops)))
        return _gather(ops, [y for y, _ in pairs]), (tuple(res for _, res in pairs), layout)

    def backward(res: Any, y_bar: Any) -> tuple[Any, ...]:
        saved, (layout, with_params) = res[0], res[1].value
        each = zip(ops, saved, y_bar, strict=True)
        bars = [layout.split(i, op.bwd(r, bar)) for i, (op, r, bar) in enumerate(each)]
        xs_bar = tuple(x_bar for x_bar, _ in bars)
        return (*xs_bar, layout.params_bar(more for _, more in bars)) if with_params else xs_bar

    return Op(forward, backward, definition, name=name, has_aux=has_aux, composed=True)


def fanout(*ops: Op, name: str = "") -> Op:
    """f(x, params) = (op_1(x, *params[0]), ..., op_n(x, *params[n-1])): one value to several ops.

    Maths: y_i = op_i(x); x_bar = sum_i x_bar of bwd_i(res_i, y_i_bar).
    Shapes: those of the ops.
    Residuals: those of each op.
    Raises: ArgumentError if params does not have one tuple for each op.
    Source: gradients add at branches; CS231n, lecture 4.

    >>> from purebp.gates import identity, square
    >>> y, res = fanout(identity, square).fwd(3.0)
    >>> float(fanout(identity, square).bwd(res, (1.0, 1.0))[0])
    7.0
    """
    name = _name("fanout", name, ops)
    has_aux = any(op.has_aux for op in ops)

    def definition(x: Any, params: Params = None) -> Any:
        each = zip(ops, _extras(name, ops, params), strict=True)
        return _gather(ops, [op.define(*_leading(op, x), *extra) for op, extra in each])

    def forward(x: Any, params: Params = None) -> Any:
        extras = _extras(name, ops, params)
        each = zip(ops, extras, strict=True)
        pairs = [op.fwd(*_leading(op, x), *extra) for op, extra in each]
        layout = Static(_layout(ops, [x] * len(ops), params, extras))
        return _gather(ops, [y for y, _ in pairs]), (tuple(res for _, res in pairs), layout)

    def backward(res: Any, y_bar: Any) -> tuple[Any, Any]:
        saved, layout = res[0], res[1].value
        each = zip(ops, saved, y_bar, strict=True)
        bars = [layout.split(i, op.bwd(r, bar)) for i, (op, r, bar) in enumerate(each)]
        total = bars[0][0]
        for x_bar, _ in bars[1:]:
            total = jax.tree.map(_add, total, x_bar, is_leaf=_is_none)
        return total, layout.params_bar(more for _, more in bars)

    return _carrying(forward, backward, definition, name=name, has_aux=has_aux)


def skip(*ops: Op, name: str = "") -> Op:
    """f(x, params) = x + chain(*ops)(x, params), a residual connection.

    Maths: y = x + g(x); x_bar = y_bar + x_bar of g.
    Shapes: g keeps the shape of x.
    Residuals: those of the ops; of x only its dtype.
    Raises: ArgumentError if params does not fit the ops, ShapeError if g does not keep the shape.
    Source: He et al. 2015, "Deep residual learning", equation 1.

    >>> from purebp.gates import square
    >>> y, res = skip(square).fwd(3.0)
    >>> float(y), float(skip(square).bwd(res, 1.0)[0])
    (12.0, 7.0)
    """
    name = _name("skip", name, ops)
    inner = chain(*ops, name=name)

    def plus(x: Any, out: Any) -> Any:
        g, aux = _split_aux(inner, out)
        if isinstance(x, tuple) or isinstance(g, tuple):
            raise ArgumentError(f"{name}: x or what the ops return is a tuple, expected one array")
        if jnp.shape(g) != jnp.shape(x):
            raise ShapeError(
                f"{name}: the ops return shape {jnp.shape(g)}, expected {jnp.shape(x)} like x"
            )
        return (x + g, aux) if inner.has_aux else x + g

    def definition(x: Any, params: Params = None) -> Any:
        return plus(x, inner.define(x, params))

    def forward(x: Any, params: Params = None) -> Any:
        out, res = inner.fwd(x, params)
        return plus(x, out), (res, spec_of(jnp.asarray(x)))

    def backward(res: Any, y_bar: Any) -> tuple[Any, Any]:
        saved, x_spec = res
        (g_spec,) = saved.output[1]
        x_bar, params_bar = inner.bwd(saved, y_bar.astype(g_spec.dtype))
        return x_bar + y_bar.astype(x_spec.dtype), params_bar

    return _carrying(forward, backward, definition, name=name, has_aux=inner.has_aux)


class _Carried(NamedTuple):
    """How an op took a value: whole (no `kind`), or a tuple as `width` leading arguments."""

    kind: type | None
    width: int

    def join(self, bars: tuple[Any, ...]) -> Any:
        """The cotangent of the value, out of those of the leading arguments."""
        return bars[0] if self.kind is None else _pack(self.kind, bars[: self.width])


class _Layout(NamedTuple):
    """How the arguments came, so that the cotangents go back in the same containers."""

    carried: tuple[_Carried, ...]
    params: type | None
    extras: tuple[tuple[type, int], ...]

    def split(self, index: int, bars: tuple[Any, ...]) -> tuple[Any, Any]:
        """The cotangents of op `index`: that of the carried value, those of its params."""
        carried, (kind, count) = self.carried[index], self.extras[index]
        extra_bars = bars[carried.width : carried.width + count]
        return carried.join(bars), _pack(kind, extra_bars)

    def params_bar(self, bars: Iterable[Any]) -> Any:
        return None if self.params is None else _pack(self.params, bars)


def _layout(
    ops: tuple[Op, ...], values: Sequence[Any], params: Params, extras: Sequence[Sequence[Any]]
) -> _Layout:
    carried = tuple(
        _Carried(type(value), len(value)) if _is_spread(op, value) else _Carried(None, 1)
        for op, value in zip(ops, values, strict=True)
    )
    kind = None if params is None else type(params)
    return _Layout(carried, kind, tuple((type(extra), len(extra)) for extra in extras))


def _pack(kind: Any, values: Iterable[Any]) -> Any:
    return kind(*values) if hasattr(kind, "_fields") else kind(values)


def _is_spread(op: Op, x: Any) -> bool:
    return isinstance(x, tuple) and not op.takes_tuple


def _leading(op: Op, x: Any) -> tuple[Any, ...]:
    return tuple(x) if _is_spread(op, x) else (x,)


def _split_aux(op: Op, out: Any) -> tuple[Any, Any]:
    return out if op.has_aux else (out, None)


def _gather(ops: tuple[Op, ...], outs: Iterable[Any]) -> Any:
    ys, aux = zip(*map(_split_aux, ops, outs), strict=True)
    return (ys, aux) if any(op.has_aux for op in ops) else ys


def _add(x_bar: Any, more: Any) -> Any:
    return more if x_bar is None else x_bar if more is None else x_bar + more


def _is_none(x: Any) -> bool:
    return x is None


def _extras(name: str, ops: tuple[Op, ...], params: Any) -> Sequence[Sequence[Any]]:
    if params is None:
        return [()] * len(ops)
    if not isinstance(params, tuple | list):
        raise ArgumentError(
            f"{name}: params is {in_words(params)}, expected a tuple with a tuple for each op"
        )
    if len(params) != len(ops):
        raise ArgumentError(
            f"{name}: params has {len(params)} entries, expected {len(ops)}, a tuple for each op"
        )
    for op, extra in zip(ops, params, strict=True):
        if not isinstance(extra, tuple | list):
            raise ArgumentError(
                f"{name}: the params of {op.name} are {in_words(extra)}, expected a tuple"
            )
    return params


def _name(kind: str, name: str, ops: tuple[Op, ...]) -> str:
    if not ops:
        raise ArgumentError(f"{kind}: no ops, expected at least one")
    for index, op in enumerate(ops):
        if not isinstance(op, Op):
            raise ArgumentError(f"{kind}: op {index} is {in_words(op)}, expected a purebp Op")
    return name or f"{kind}({', '.join(op.name for op in ops)})"
