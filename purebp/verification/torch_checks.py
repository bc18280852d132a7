"""What PyTorch asks of a `torch.autograd.Function` beyond its numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from purebp.verification.differences import slopes
from purebp.verification.numpy_pair import own
from purebp.verification.torch_pair import TorchPair

Settings = Mapping[str, Any]
Arrays = list[np.ndarray]
ROUGH = 1e-3
"""How much of the largest gradient float32 may lose."""
COORDINATES = 48


def gradients(
    pair: TorchPair, settings: Settings, args: Arrays, bars: Any, moving: Any = None
) -> list[Any]:
    """One gradient for each argument, `None` for those that need none."""
    outs, tensors, _ = pair.run_tensors([own(x) for x in args], settings, moving)
    given = [
        bar if bar is None or pair.torch.is_tensor(bar) else tensor_of(pair, bar) for bar in bars
    ]
    return pair.pulled(outs, tensors, given)


def tensor_of(pair: TorchPair, bar: np.ndarray) -> Any:
    """A tensor with memory of its own."""
    return pair.torch.from_numpy(np.array(bar))


def wrong_alone(pair: TorchPair, settings: Settings, args: Arrays, bars: Arrays) -> str:
    """Where one argument alone needs a gradient it is the same as where all do."""
    every = gradients(pair, settings, args, bars)
    for place, expected in enumerate(every):
        if expected is None:
            continue
        name = pair.signature.parameters[place].name
        alone = gradients(pair, settings, args, bars, moving={place})[place]
        if not close(alone, expected):
            return (
                f"another gradient of {name} where {name} alone needs one: "
                "look at ctx.needs_input_grad"
            )
    return ""


def wrong_expanded(pair: TorchPair, settings: Settings, args: Arrays, bars: Arrays) -> str:
    """An upstream gradient whose entries share one number, as that of a sum does."""
    one = pair.torch.ones((), dtype=pair.torch.float64)
    expanded = [(0.5 * one).expand(bar.shape) for bar in bars]
    plain = [np.full(bar.shape, 0.5) for bar in bars]
    if all_close(gradients(pair, settings, args, expanded), gradients(pair, settings, args, plain)):
        return ""
    return "other gradients where the upstream gradient is expanded: it is not contiguous"


def wrong_left_out(pair: TorchPair, settings: Settings, args: Arrays, bars: Arrays) -> str:
    """An output that is not used has no upstream gradient; that is as good as zeros."""
    for place in range(len(bars)) if len(bars) > 1 else ():
        zeros = [bar if k == place else 0 * bar for k, bar in enumerate(bars)]
        none = [bar if k == place else None for k, bar in enumerate(bars)]
        if not all_close(
            gradients(pair, settings, args, none), gradients(pair, settings, args, zeros)
        ):
            return (
                f"other gradients where output {place} alone is used than with zeros for the rest"
            )
    return ""


def wrong_in_float32(pair: TorchPair, settings: Settings, args: Arrays, bars: Arrays) -> str:
    """In float32 the same gradients as in float64, to three digits."""
    low = [np.asarray(x, np.float32) if x.dtype.kind == "f" else x for x in args]
    outs, tensors, _ = pair.run_tensors([np.array(x) for x in low], settings)
    given = [
        pair.torch.from_numpy(np.array(bar)).to(out.dtype)
        for bar, out in zip(bars, outs, strict=True)
    ]
    found = pair.pulled(outs, tensors, given)
    expected = gradients(pair, settings, [np.asarray(x) for x in low], bars)
    if all_close(found, expected, ROUGH):
        return ""
    return "other gradients in float32 than in float64"


PROBLEMS: tuple[Callable[[TorchPair, Settings, Arrays, Arrays], str], ...] = (
    wrong_alone,
    wrong_expanded,
    wrong_left_out,
    wrong_in_float32,
)


def all_close(first: list[Any], second: list[Any], rough: float = 1e-9) -> bool:
    """Whether the gradients of two runs agree."""
    return all(close(a, b, rough) for a, b in zip(first, second, strict=True))


def close(a: Any, b: Any, rough: float = 1e-9) -> bool:
    """Whether two gradients agree, in units of the largest number."""
    if a is None or b is None:
        return a is None and b is None
    size = float(np.abs(np.nan_to_num(b, posinf=0.0, neginf=0.0)).max(initial=0.0))
    return bool(np.allclose(a, b, rtol=0.0, atol=rough * (size + 1e-30), equal_nan=True))


def wrong_twice(pair: TorchPair, settings: Settings, args: Arrays, bars: Arrays) -> str:
    """The gradients differentiated again, against finite differences of them; or a refusal.

    A backward pass that is not made for it says `once_differentiable`. Without that PyTorch goes
    through it, and takes whatever it did not see for a constant.
    """
    rng = np.random.default_rng(0)
    along = [rng.standard_normal(x.shape) for x in args if x.dtype.kind == "f"]
    got = _second_by_autograd(pair, settings, args, bars, along)
    if got is None:
        return ""
    places = [place for place, x in enumerate(args) if x.dtype.kind == "f"]
    for place, second in zip(places, got, strict=True):
        found = _second_by_differences(pair, settings, args, bars, along, place)
        size = np.abs(np.nan_to_num(found.values)).max(initial=0.0)
        sure = found.bars <= 1e-5 * (1 + size)
        indices = np.arange(min(second.size, COORDINATES))
        wrong = sure & (np.abs(second.ravel()[indices] - found.values) > 1e-4 * (1 + size))
        if wrong.any():
            entry = int(np.flatnonzero(wrong)[0])
            name = pair.signature.parameters[place].name
            return (
                f"differentiated twice it is wrong without an error: {second.ravel()[entry]:.6g} "
                f"where the slope of the gradient in {name} is {found.values[entry]:.6g}; save "
                "inputs and outputs only, or say torch.autograd.function.once_differentiable"
            )
    return ""


def _second_by_autograd(
    pair: TorchPair, settings: Settings, args: Arrays, bars: Arrays, along: Arrays
) -> list[np.ndarray] | None:
    """The slope of along . gradients in each floating argument; `None` where it refuses."""
    torch = pair.torch
    outs, tensors, _ = pair.run_tensors([own(x) for x in args], settings)
    moving = [tensor for tensor in tensors if tensor.requires_grad]
    given = [tensor_of(pair, bar).requires_grad_() for bar in bars]
    try:
        grads = torch.autograd.grad(outs, moving, given, create_graph=True, allow_unused=True)
        parts = [
            (grad * torch.from_numpy(v)).sum()
            for grad, v in zip(grads, along, strict=True)
            if grad is not None
        ]
        total = torch.stack(parts).sum() if parts else None
        if total is None or not total.requires_grad:
            return [np.zeros(tuple(tensor.shape)) for tensor in moving]
        total.backward()  # all of it: a refusal is not on the way to any one argument
    except RuntimeError:
        return None
    return [np.zeros(tuple(x.shape)) if x.grad is None else x.grad.numpy() for x in moving]


def _second_by_differences(
    pair: TorchPair, settings: Settings, args: Arrays, bars: Arrays, along: Arrays, place: int
) -> Any:
    def total(x: np.ndarray) -> float:
        given = [x.reshape(args[place].shape) if k == place else arg for k, arg in enumerate(args)]
        found = [g for g in gradients(pair, settings, given, bars) if g is not None]
        return sum(float(np.sum(v * g)) for v, g in zip(along, found, strict=True))

    def totals(points: np.ndarray) -> np.ndarray:
        return np.asarray([total(point) for point in points])

    x = np.asarray(args[place], np.float64).ravel()
    indices = np.arange(min(x.size, COORDINATES))
    return slopes(totals, x, indices, abs(total(x)) + 1.0)
