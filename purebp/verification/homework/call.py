"""How a layer of a known name is called: its arrays, the options it takes, and its definition."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from purebp.errors import ShapeError

Function = Callable[..., Any]
Kind = Literal["real", "labels", "mask"]


class Arg(NamedTuple):
    """An array: its name, the names of its axes; labels are below the size of an axis."""

    name: str
    axes: str
    kind: Kind = "real"
    below: str = ""


class Key(NamedTuple):
    """An option in a dictionary of options: the values to try, the default first.

    `option` is its name among all options of the call, where two dictionaries share a key.
    """

    name: str
    values: tuple[Any, ...]
    option: str = ""

    @property
    def of_call(self) -> str:
        """The name of the option."""
        return self.option or self.name


class Bundle(NamedTuple):
    """A parameter that holds options: a dictionary of them or, if `plain`, the one itself.

    `extra(arrays)` are entries that are made anew for each call.
    """

    name: str
    keys: tuple[Key, ...]
    extra: Function | None = None
    plain: bool = False

    def fill(self, arrays: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """What is passed for this parameter."""
        if self.plain:
            return options[self.keys[0].of_call]
        made = {} if self.extra is None else self.extra(*arrays)
        return {**made, **{key.name: options[key.of_call] for key in self.keys}}


class Call(NamedTuple):
    """One way in which layers of a name are written.

    `definitions(*arrays, **options)`: what they compute, by purebp's ops; where several ways are
    common, one of them. `judge(out, arrays, options)` says what is wrong with an output that no
    definition can tell, as a random one; it is empty if nothing is. `draw(seed)` makes arrays that
    have no named axes.
    """

    op: str
    args: tuple[Arg, ...]
    sizes: Mapping[str, int]
    definitions: tuple[Function, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    judge: Function | None = None
    draw: Callable[[int], tuple[Any, ...]] | None = None

    @property
    def options(self) -> dict[str, tuple[Any, ...]]:
        """The values of all options."""
        return {key.of_call: key.values for bundle in self.bundles for key in bundle.keys}

    @property
    def defaults(self) -> dict[str, Any]:
        """The first value of each option."""
        return {name: values[0] for name, values in self.options.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays."""
        return tuple(arg.name for arg in self.args)

    def example(self, seed: int = 0) -> tuple[np.ndarray, ...]:
        """Ordinary arrays in float64, made from a seed."""
        if self.draw is not None:
            return self.draw(seed)
        rng = np.random.default_rng(seed)
        return tuple(_draw(arg, self.sizes, rng) for arg in self.args)

    def check_shapes(self, arrays: tuple[Any, ...]) -> None:
        """Refuse arrays whose axes do not fit each other: a layer need not look."""
        self.sizes_of(arrays)

    def sizes_of(self, arrays: tuple[Any, ...]) -> dict[str, int]:
        """The size of each axis, which all arrays have to agree on."""
        sizes: dict[str, int] = {}
        if self.draw is not None:
            return sizes
        for arg, array in zip(self.args, arrays, strict=True):
            axes, shape = arg.axes.split(), np.shape(array)
            if len(axes) != len(shape):
                raise ShapeError(f"{arg.name} has shape {shape}, expected axes {arg.axes!r}")
            for axis, size in zip(axes, shape, strict=True):
                if sizes.setdefault(axis, size) != size:
                    raise ShapeError(
                        f"{arg.name} has shape {shape}, expected {sizes[axis]} for axis {axis!r}"
                    )
        return sizes


def _draw(arg: Arg, sizes: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
    shape = tuple(int(axis) if axis.isdigit() else sizes[axis] for axis in arg.axes.split())
    if arg.kind == "labels":
        return rng.integers(0, sizes[arg.below], shape)
    if arg.kind == "mask":
        return rng.random(shape) < 0.7
    return rng.standard_normal(shape)


def args_of(text: str) -> tuple[Arg, ...]:
    """Real arrays, as in `"x: n d, w: d m, b: m"`."""
    pairs = (part.partition(":") for part in text.split(","))
    return tuple(Arg(name.strip(), axes.strip()) for name, _, axes in pairs)
