"""Pairs: an Op, a (fwd, bwd) pair, NumPy functions in the style of CS231n."""

import inspect
from collections.abc import Mapping
from typing import Any

from purebp.op import Op
from purebp.verification.numpy_pair import DIFFERENCES, NumpyPair
from purebp.verification.targets.view import UNKNOWN_CONDITION, Function, Target


def from_op(
    op: Op, reference: Function | None, options: Mapping[str, tuple[Any, ...]], plain: str
) -> Target:
    def forward(settings: Mapping[str, Any], *args: Any) -> Any:
        y = op.fwd(*args, **settings)[0]
        return y[0] if op.has_aux else y

    def pull(settings: Mapping[str, Any], args: tuple[Any, ...], y_bar: Any) -> Any:
        y, res = op.fwd(*args, **settings)
        return (y[0] if op.has_aux else y), op.bwd(res, y_bar)

    def define(settings: Mapping[str, Any], *args: Any) -> Any:
        if reference is not None:
            return reference(*args, **settings)
        y = op.define(*args, **settings)
        return y[0] if op.has_aux else y

    def save(settings: Mapping[str, Any], *args: Any) -> Any:
        return op.fwd(*args, **settings)[1]

    for option in options:
        op.with_options(**{option: options[option][0]})
    return Target(
        name=op.name,
        source=op,
        forward=forward,
        pull=pull,
        reference=define,
        reference_name=plain if reference is None else "the given reference",
        parameters=op.signature.parameters,
        options=options or op.options,
        defaults=_usable({**op.signature.options, **op.settings}),
        domains=op.domains,
        sizes=op.sizes,
        tolerance=op.tolerance,
        example=op.example,
        save=save,
    )


def from_numpy(
    pair: NumpyPair, reference: Function | None, static: Mapping[str, tuple[Any, ...]]
) -> Target:
    def define(settings: Mapping[str, Any], *args: Any) -> Any:
        if reference is not None:
            return reference(*args, **settings)
        return pair.by_differences(settings, *args)

    tried = pair.options.given(static)
    plain = "finite differences of the forward" if reference is None else "the given reference"
    return Target(
        name=pair.forward.__name__.removesuffix("_forward"),
        source=pair.backward,
        forward=pair.run,
        pull=pair.pull,
        reference=define,
        reference_name=plain,
        parameters=pair.signature.parameters,
        options=tried.values,
        tolerance=DIFFERENCES if reference is None else UNKNOWN_CONDITION,
        unexplored=tried.unexplored,
        numpy=pair,
        differences=reference is None,
    )


def _usable(options: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of options, without those that have none."""
    return {key: value for key, value in options.items() if value is not inspect.Parameter.empty}
