"""From the parameters of a lax primitive to the options of its gate."""

from collections.abc import Callable, Mapping
from typing import Any

Params = Mapping[str, Any]


def renamed(**names: str) -> Callable[[Params], dict[str, Any]]:
    """Options that are parameters under another name: `renamed(axis="dimension")`."""

    def options(params: Params) -> dict[str, Any]:
        return {option: params[name] for option, name in names.items()}

    return options


def same(*names: str) -> Callable[[Params], dict[str, Any]]:
    """Options that are parameters of the same name."""
    return renamed(**{name: name for name in names})


def of_reduction(params: Params) -> dict[str, Any]:
    """The axes that a reduction takes away."""
    return {"axis": tuple(params["axes"]), "keepdims": False}


WINDOW = same("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")
CONVOLUTION = same(
    *("window_strides", "padding", "lhs_dilation", "rhs_dilation", "dimension_numbers"),
    *("feature_group_count", "batch_group_count"),
)
SCATTER = same("dimension_numbers", "mode", "unique_indices")
