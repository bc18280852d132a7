"""Forms in PyTorch, eager: most ops are there under a name."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

Form = Callable[..., Any]


def torch_function(name: str, **options: Any) -> Form:
    """`torch.<name>` as a form: `(torch, *tensors) -> y`."""
    return partial(_torch_function, name, options)


def _torch_function(name: str, options: Mapping[str, Any], torch: Any, *tensors: Any) -> Any:
    return getattr(torch, name)(*tensors, **options)


def functional(name: str, **options: Any) -> Form:
    """`torch.nn.functional.<name>` as a form."""
    return partial(_functional, name, options)


def _functional(name: str, options: Mapping[str, Any], torch: Any, *tensors: Any) -> Any:
    return getattr(torch.nn.functional, name)(*tensors, **options)


def labelled(name: str, **options: Any) -> Form:
    """The same of a loss whose last argument, the labels, PyTorch wants in 64 bits."""
    return partial(_labelled, name, options)


def _labelled(name: str, options: Mapping[str, Any], torch: Any, *tensors: Any) -> Any:
    *others, labels = tensors
    return getattr(torch.nn.functional, name)(*others, labels.long(), **options)
