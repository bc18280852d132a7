"""A `torch.autograd.Function`, or a plain function of tensors, as a pair of NumPy functions.

Forward and backward run in float64 on NumPy arrays; PyTorch sees tensors that share their memory.
"""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from purebp.packages import load
from purebp.signature import Parameter, Signature, read_signature
from purebp.verification.numpy_pair import NumpyPair
from purebp.verification.options import Options

Function = Callable[..., Any]


def torch_of() -> Any:
    """PyTorch."""
    return load("torch", needed_by="a torch.autograd.Function", extra="torch")


def is_torch_function(target: Any) -> bool:
    """Whether a target is a subclass of `torch.autograd.Function`; PyTorch is not imported."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(target, type):
        return False
    return issubclass(target, torch.autograd.Function)


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def arguments_of(function: Any) -> list[Parameter]:
    """The arguments of a Function's forward, without ctx; in both styles."""
    names = list(read_signature(function.forward).parameters)
    base = torch_of().autograd.Function
    return names if function.setup_context is not base.setup_context else names[1:]


class TorchPair(NumpyPair):
    """Tensors in, tensors out, with PyTorch's autograd in between; `names` are those of arrays.

    `fixed` are the places of the arguments that are no tensors. `kinds` are the dtypes of the
    example's arrays: integers come as PyTorch wants them.
    """

    def __init__(
        self,
        call: Function,
        backward: Function,
        parameters: Sequence[Parameter],
        fixed: Mapping[str, int],
        kinds: Sequence[np.dtype[Any]],
    ) -> None:
        self.torch = torch_of()
        self.call, self.fixed, self.kinds = call, fixed, kinds
        self.forward, self.backward = self._forward, self._backward_of(backward)
        self.signature = Signature(tuple(parameters), {}, False, inspect.Signature())
        self.options = Options({}, ())
        self.silent = frozenset()
        self._kept = None

    def _forward(self, *arrays: Any, **settings: Any) -> Any:
        outs, tensors, single = self.run_tensors(arrays, settings)
        given = [out.detach().numpy() for out in outs]
        return (given[0] if single else tuple(given)), (outs, tensors)

    def _backward_of(self, backward: Function) -> Function:
        def run_backward(dout: Any, cache: Any) -> Any:
            outs, tensors = cache
            douts = dout if isinstance(dout, tuple | list) else [dout]
            return self.pulled(outs, tensors, [self.torch.from_numpy(bar) for bar in douts])

        run_backward.__wrapped__ = backward  # type: ignore[reportFunctionMemberAccess]  # where its line is
        return run_backward

    def pulled(
        self, outs: list[Any], tensors: list[Any], douts: list[Any], **how: Any
    ) -> list[np.ndarray | None]:
        """The gradients of the floating tensors, zeros where PyTorch has none; else `None`."""
        moving = [tensor for tensor in tensors if tensor.requires_grad]
        used = [(out, bar) for out, bar in zip(outs, douts, strict=True) if bar is not None]
        found = iter(
            self.torch.autograd.grad(
                [out for out, _ in used],
                moving,
                [bar for _, bar in used],
                retain_graph=True,
                allow_unused=True,
                **how,
            )
        )
        grads = [next(found) if tensor.requires_grad else None for tensor in tensors]
        return [
            None
            if not tensor.requires_grad
            else np.zeros(tuple(tensor.shape))
            if grad is None
            else np.array(grad.detach().numpy())
            for tensor, grad in zip(tensors, grads, strict=True)
        ]

    def run_tensors(
        self, arrays: Sequence[Any], settings: Mapping[str, Any], moving: Any = None
    ) -> tuple[list[Any], list[Any], bool]:
        """(the differentiable outputs, the inputs, whether there is but one output).

        `moving`: the places of the arrays that need a gradient; by default all floating ones.
        """
        kept = [np.array(x) for x in arrays]
        tensors = self._tensors(arrays, moving)
        try:
            out = self.call(*self._placed(tensors, settings))
        except RuntimeError as error:
            if "in-place" not in str(error):
                raise
            # What is declared as overwritten, by mark_dirty, may not be a leaf.
            for array, before in zip(arrays, kept, strict=True):
                np.copyto(array, before)
            tensors = self._tensors(arrays, moving)
            out = self.call(*self._placed([tensor.clone() for tensor in tensors], settings))
        several = out if isinstance(out, tuple | list) else (out,)
        outs = [y for y in several if self.torch.is_tensor(y) and y.requires_grad]
        return outs, tensors, not isinstance(out, tuple | list)

    def _placed(self, tensors: list[Any], settings: Mapping[str, Any]) -> list[Any]:
        given = list(tensors)
        for name, place in sorted(self.fixed.items(), key=lambda item: item[1]):
            given.insert(place, settings[name])
        return given

    def _tensors(self, arrays: Sequence[Any], moving: Any) -> list[Any]:
        tensors = list[Any]()
        for place, (x, kind) in enumerate(zip(arrays, self.kinds, strict=True)):
            array = np.asarray(x)
            wanted = array.dtype if array.dtype.kind == "f" else kind
            tensor = self.torch.from_numpy(np.asarray(array, wanted))
            if tensor.is_floating_point() and (moving is None or place in moving):
                tensor.requires_grad_()
            tensors.append(tensor)
        return tensors
