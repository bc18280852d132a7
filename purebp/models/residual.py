"""Residual: a part of a model with a shortcut around it; and how nested parts become one chain."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from purebp.combine import chain, fanout, skip
from purebp.gates import add
from purebp.models.layer import Layer
from purebp.op import Op


class Residual(NamedTuple):
    """y = x + main(x), or shortcut(x) + main(x) where main changes the shape.

    Its layers are among the model's like all others, those of `main` first: their params,
    statistics and gradients go by their own names.

    Example:
        >>> from purebp.models import resnet
        >>> model = resnet((3, 16, 16), 10, filters=(4,), blocks=1, large=False)
        >>> [part.name for part in model.parts if isinstance(part, Residual)]
        ['block1_1']
    """

    name: str
    main: tuple["Part", ...]
    shortcut: tuple["Part", ...] = ()


Part = Layer | Residual
Parts = Sequence[Part]


def leaves(parts: Parts) -> tuple[Layer, ...]:
    """All layers, in the order in which they are listed."""
    found = list[Layer]()
    for part in parts:
        if isinstance(part, Layer):
            found.append(part)
        else:
            found += [*leaves(part.main), *leaves(part.shortcut)]
    return tuple(found)


def one_chain(name: str, parts: Parts, train: bool) -> Op:
    """The parts as one op, in training or evaluation."""
    return chain(*(_as_op(part, train) for part in parts), name=name)


def _as_op(part: Part, train: bool) -> Op:
    if isinstance(part, Layer):
        return part.runs(train)
    if not part.shortcut:
        return skip(*(_as_op(inner, train) for inner in part.main), name=part.name)
    both = fanout(*(one_chain(part.name, side, train) for side in (part.main, part.shortcut)))
    return chain(both, add, name=part.name)


def nest(parts: Parts, each: Iterator[Any]) -> tuple[Any, ...]:
    """The arguments of each layer, in the tuples in which `one_chain` takes its params."""
    return tuple(_nest_part(part, each) for part in parts)


def _nest_part(part: Part, each: Iterator[Any]) -> tuple[Any, ...]:
    if isinstance(part, Layer):
        return next(each)
    main = nest(part.main, each)
    if not part.shortcut:
        return (main,)
    both = ((main,), (nest(part.shortcut, each),))
    return (((both,), ()),)


def flatten(parts: Parts, nested: Any) -> list[Any]:
    """What belongs to each layer again, out of `nest`'s tuples."""
    found = list[Any]()
    for part, inner in zip(parts, nested, strict=True):
        if isinstance(part, Layer):
            found.append(inner)
        elif not part.shortcut:
            found += flatten(part.main, inner[0])
        else:
            ((both,), _) = inner[0]
            (main,), (shortcut,) = both
            found += [*flatten(part.main, main), *flatten(part.shortcut, shortcut)]
    return found


def flatten_aux(parts: Parts, aux: Any) -> list[Any]:
    """What each layer gives besides its value, None for nothing, out of what `one_chain` gives."""
    if aux is None:
        return [None for _ in leaves(parts)]
    found = list[Any]()
    for part, inner in zip(parts, aux, strict=True):
        if isinstance(part, Layer):
            found.append(inner)
        elif not part.shortcut:
            found += flatten_aux(part.main, inner)
        else:
            main, shortcut = (None, None) if inner is None else inner[0]
            found += [*flatten_aux(part.main, main), *flatten_aux(part.shortcut, shortcut)]
    return found
