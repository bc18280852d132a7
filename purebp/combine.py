"""Pairs from pairs. A net is written as its layers; its backward pass is theirs in reverse.

Each combination is an Op. `params[i]` is the tuple of the arguments that op i takes besides the
value that is carried. A carried tuple is handed on as several leading arguments. Where a value
goes to several ops, the gradients add.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from purebp.errors import ArgumentError
from purebp.op import Op
from purebp.residuals import Static

Params = Sequence[tuple[Any, ...]] | None


def chain(*ops: Op, name: str = "") -> Op:
    """f(x, params) = op_n(... op_1(x, *params[0]) ..., *params[n-1]).

    Maths: y_i = op_i(y_{i-1}); backward, y_{i-1}_bar, params_i_bar = bwd_i(res_i, y_i_bar).
    Shapes: x and the output are those of the first and the last op.
    Residuals: those of each op.
    Raises: ArgumentError if params does not have one tuple for each op.
    Source: the chain rule; CS231n, lecture 4.

    If an op has aux output, the chain has too: a tuple with one entry for each op.

    >>> from purebp.gates import add, mul
    >>> f = chain(add, mul)
    >>> y, res = f.fwd((-2.0, 5.0), ((), (-4.0,)))
    >>> float(y), [float(bar) for bar in f.bwd(res, 1.0)[0]]
    (-12.0, [-4.0, -4.0])
    """
    name = name or _name("chain", ops)
    has_aux = any(op.has_aux for op in ops)

    def definition(x: Any, params: Params = None) -> Any:
        extras = _extras(name, ops, params)
        y, aux = x, list[Any]()
        for op, extra in zip(ops, extras, strict=True):
            y, more = _split_aux(op, op.define(*_spread(y), *extra))
            aux.append(more)
        return (y, tuple(aux)) if has_aux else y

    def forward(x: Any, params: Params = None) -> Any:
        extras = _extras(name, ops, params)
        y, aux, saved, carried = x, list[Any](), list[Any](), list[int]()
        for op, extra in zip(ops, extras, strict=True):
            carried.append(len(_spread(y)))
            out, res = op.fwd(*_spread(y), *extra)
            y, more = _split_aux(op, out)
            aux.append(more)
            saved.append(res)
        out = (y, tuple(aux)) if has_aux else y
        return out, (tuple(saved), Static(_Layout.of(x, params, extras, carried)))

    def backward(res: Any, y_bar: Any) -> tuple[Any, Any]:
        saved, layout = res[0], res[1].value
        params_bar = list[tuple[Any, ...]]()
        bars: tuple[Any, ...] = ()
        for index, op in reversed(list(enumerate(ops))):
            bars, extra_bars = layout.split(index, op.bwd(saved[index], y_bar))
            params_bar.append(extra_bars)
            y_bar = bars[0] if len(bars) == 1 else bars
        return bars if layout.spread else bars[0], layout.params_bar(reversed(params_bar))

    return Op(forward, backward, definition=definition, name=name, has_aux=has_aux)


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
    name = name or _name("parallel", ops)

    def split(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Params]:
        if len(args) not in (len(ops), len(ops) + 1):
            raise ArgumentError(
                f"{name}: {len(args)} arguments, expected one for each of the {len(ops)} ops "
                "(and the tuple of their params)"
            )
        return args[: len(ops)], args[len(ops)] if len(args) > len(ops) else None

    def definition(*args: Any) -> Any:
        xs, params = split(args)
        extras = _extras(name, ops, params)
        return tuple(op.define(x, *e) for op, x, e in zip(ops, xs, extras, strict=True))

    def forward(*args: Any) -> Any:
        xs, params = split(args)
        extras = _extras(name, ops, params)
        pairs = [op.fwd(x, *e) for op, x, e in zip(ops, xs, extras, strict=True)]
        saved = tuple(res for _, res in pairs)
        layout = Static((_Layout.of(xs, params, extras, [1] * len(ops)), len(args) > len(ops)))
        return tuple(y for y, _ in pairs), (saved, layout)

    def backward(res: Any, y_bar: Any) -> tuple[Any, ...]:
        saved, (layout, with_params) = res[0], res[1].value
        each = zip(ops, saved, y_bar, strict=True)
        bars = [layout.split(i, op.bwd(r, bar)) for i, (op, r, bar) in enumerate(each)]
        xs_bar = tuple(x_bars[0] for x_bars, _ in bars)
        return (*xs_bar, layout.params_bar(more for _, more in bars)) if with_params else xs_bar

    return Op(forward, backward, definition=definition, name=name)


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
    name = name or _name("fanout", ops)

    def definition(x: Any, params: Params = None) -> Any:
        extras = _extras(name, ops, params)
        return tuple(op.define(*_spread(x), *extra) for op, extra in zip(ops, extras, strict=True))

    def forward(x: Any, params: Params = None) -> Any:
        extras = _extras(name, ops, params)
        pairs = [op.fwd(*_spread(x), *extra) for op, extra in zip(ops, extras, strict=True)]
        saved = tuple(res for _, res in pairs)
        layout = Static(_Layout.of(x, params, extras, [len(_spread(x))] * len(ops)))
        return tuple(y for y, _ in pairs), (saved, layout)

    def backward(res: Any, y_bar: Any) -> tuple[Any, Any]:
        saved, layout = res[0], res[1].value
        each = zip(ops, saved, y_bar, strict=True)
        bars = [layout.split(i, op.bwd(r, bar)) for i, (op, r, bar) in enumerate(each)]
        total = bars[0][0]
        for x_bars, _ in bars[1:]:
            total = jax.tree.map(jnp.add, total, x_bars)
        return total if layout.spread else total[0], layout.params_bar(more for _, more in bars)

    return Op(forward, backward, definition=definition, name=name)


def skip(*ops: Op, name: str = "") -> Op:
    """f(x, params) = x + chain(*ops)(x, params), a residual connection.

    Maths: y = x + g(x); x_bar = y_bar + x_bar of g.
    Shapes: g keeps the shape of x.
    Residuals: those of the ops.
    Raises: ArgumentError if params does not have one tuple for each op.
    Source: He et al. 2015, "Deep residual learning", equation 1.

    >>> from purebp.gates import square
    >>> y, res = skip(square).fwd(3.0)
    >>> float(y), float(skip(square).bwd(res, 1.0)[0])
    (12.0, 7.0)
    """
    name = name or _name("skip", ops)
    inner = chain(*ops)

    def definition(x: Any, params: Params = None) -> Any:
        y, aux = _split_aux(inner, inner.define(x, params))
        return (x + y, aux) if inner.has_aux else x + y

    def forward(x: Any, params: Params = None) -> Any:
        out, res = inner.fwd(x, params)
        y, aux = _split_aux(inner, out)
        return (x + y, aux) if inner.has_aux else x + y, res

    def backward(res: Any, y_bar: Any) -> tuple[Any, Any]:
        x_bar, params_bar = inner.bwd(res, y_bar)
        return x_bar + y_bar, params_bar

    return Op(forward, backward, definition=definition, name=name, has_aux=inner.has_aux)


class _Layout(NamedTuple):
    """How the arguments came, so that the cotangents go back in the same containers.

    For each op: how many leading arguments were carried, and how many came from params.
    """

    spread: bool
    kind: type | None
    carried: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(
        cls, x: Any, params: Params, extras: Sequence[tuple[Any, ...]], carried: list[int]
    ) -> "_Layout":
        kind = None if params is None else list if isinstance(params, list) else tuple
        counts = tuple(len(extra) for extra in extras)
        return cls(isinstance(x, tuple), kind, tuple(carried), counts)

    def split(self, index: int, bars: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The cotangents of op `index`: those of the carried values, those of its params."""
        carried = self.carried[index]
        return bars[:carried], bars[carried : carried + self.counts[index]]

    def params_bar(self, bars: Iterable[tuple[Any, ...]]) -> Any:
        return None if self.kind is None else self.kind(tuple(bar) for bar in bars)


def _spread(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, tuple) else (x,)


def _split_aux(op: Op, out: Any) -> tuple[Any, Any]:
    return out if op.has_aux else (out, None)


def _extras(name: str, ops: tuple[Op, ...], params: Params) -> Sequence[tuple[Any, ...]]:
    if params is None:
        return [()] * len(ops)
    if len(params) != len(ops):
        raise ArgumentError(
            f"{name}: params has {len(params)} entries, expected {len(ops)}, a tuple for each op"
        )
    for op, extra in zip(ops, params, strict=True):
        if not isinstance(extra, tuple | list):
            raise ArgumentError(
                f"{name}: the params of {op.name} are a {type(extra).__name__}, expected a tuple"
            )
    return params


def _name(kind: str, ops: tuple[Op, ...]) -> str:
    return f"{kind}({', '.join(op.name for op in ops)})"
