"""One judge before one layer: what `reference.proof` runs in a process of its own."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp.errors import first_line
from purebp.verification.budget import BUDGETS
from purebp.verification.cases import Variant
from purebp.verification.fallback import with_oracle
from purebp.verification.probe import Probe
from purebp.verification.run import verify, verify_target
from purebp.verification.target import Target, make_target
from reference.wrong_gradients import LAYERS
from reference.wrong_gradients.layer import Layer


def tell(sender: Connection, job: Sequence[str], seeds: int) -> None:
    """Send what a judge says: the whole work of a process."""
    *_, dtype = job
    with Path(os.devnull).open("w") as nowhere:  # what a layer, or XLA, prints is not a result
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    jax.config.update("jax_enable_x64", dtype == "float64")
    try:
        sender.send(main(*job, seeds=seeds))
    except Exception as error:  # noqa: BLE001 - a layer that cannot be judged is a result too
        sender.send({"verdict": "crashed", "note": _told(error)})


def main(judge: str, name: str, which: str, dtype: str, seeds: int) -> dict[str, Any]:
    """What a judge says about a layer."""
    layer = next(layer for layer in LAYERS if layer.name == name)
    example = in_dtype(layer.example(np.random.default_rng(0)), dtype)
    if judge == "purebp":
        if which == "wrong":
            return of_a_wrong_one(layer, example)
        return of_a_right_one(layer, example, seeds)
    target = make_target(getattr(layer, which), layer.reference, examples=example)
    try:
        passed = JUDGES[judge](target, example)
    except ModuleNotFoundError as error:
        return {"verdict": "not run", "note": str(error)}
    except Exception as error:  # noqa: BLE001 - that is how these judges say no
        return {"verdict": "fail", "note": _told(error)}
    return {"verdict": "pass" if passed else "fail"}


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)[:200]}"


def in_dtype(example: tuple[Any, ...], dtype: str) -> tuple[Any, ...]:
    """The example with its floating numbers in a dtype."""

    def convert(leaf: Any) -> Any:
        array = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
        return jnp.asarray(array, dtype) if jnp.issubdtype(array.dtype, jnp.floating) else leaf

    return jax.tree.map(convert, example)


def of_a_wrong_one(layer: Layer, example: tuple[Any, ...]) -> dict[str, Any]:
    """Whether it is found at budget normal, and named."""
    report = verify(layer.wrong, *example, reference=layer.reference)
    diagnosis = report.diagnosis
    return {
        "verdict": report.verdict,
        "kind": diagnosis.kind if diagnosis is not None else "",
        "wanted": layer.diagnosis,
        "named": diagnosis is not None and diagnosis.kind == layer.diagnosis,
        "note": diagnosis.text if diagnosis is not None else "",
    }


def of_a_right_one(layer: Layer, example: tuple[Any, ...], seeds: int) -> dict[str, Any]:
    """The first seed that raises an alarm at budget quick, if one does."""
    target = with_oracle(make_target(layer.right, layer.reference, examples=example))
    probes: dict[Variant, Probe] = {}
    verdicts = list[str]()
    for seed in range(seeds):
        report = verify_target(target, BUDGETS["quick"], seed, probes)
        if not report.ok:
            return {"verdict": report.verdict, "note": f"seed {seed}: {str(report)[:1500]}"}
        verdicts.append(report.verdict)
    return {"verdict": verdicts[0], "seeds": seeds}


def as_custom_vjp(target: Target) -> Any:
    """The layer as a function that JAX calls the hand-written rule of."""
    settings = {
        key: values[0] for key, values in target.options.items() if key not in target.defaults
    }

    @jax.custom_vjp
    def layer(*args: Any) -> Any:
        return target.forward(settings, *args)

    def backward(args: Any, y_bar: Any) -> Any:
        return tuple(target.pull(settings, args, y_bar)[1])

    layer.defvjp(lambda *args: (layer(*args), args), backward)
    return layer


def by_check_grads(target: Target, example: tuple[Any, ...]) -> bool:
    """`jax.test_util.check_grads` with its defaults, in the one mode that a custom_vjp has."""
    from jax.test_util import check_grads  # noqa: PLC0415 - one judge of several

    layer, floating = _of_floating(as_custom_vjp(target), example)
    check_grads(layer, floating, order=1, modes=["rev"])
    return True


def by_gradcheck(target: Target, example: tuple[Any, ...]) -> bool:
    """`torch.autograd.gradcheck` with its defaults, in float64 as it asks for."""
    torch: Any = import_module("torch")  # an extra
    layer, floating = _of_floating(as_custom_vjp(target), example)
    shapes = [np.shape(x) for x in floating]

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.args = [jnp.asarray(t.detach().numpy()) for t in tensors]
            out = filter(_is_floating, jax.tree.leaves(layer(*ctx.args)))
            return tuple(torch.from_numpy(np.array(y)) for y in out)

        @staticmethod
        def backward(ctx: Any, *y_bars: Any) -> Any:
            y, pullback = jax.vjp(layer, *ctx.args)
            given = iter(y_bars)
            bars = jax.tree.map(
                lambda leaf: (
                    jnp.asarray(next(given).numpy())
                    if _is_floating(leaf)
                    else np.zeros(leaf.shape, jax.dtypes.float0)
                ),
                y,
            )
            return tuple(
                torch.from_numpy(np.array(bar)).reshape(shape)
                for bar, shape in zip(pullback(bars), shapes, strict=True)
            )

    with jax.enable_x64(True):
        tensors = [torch.tensor(np.asarray(x, np.float64), requires_grad=True) for x in floating]
        return bool(torch.autograd.gradcheck(Function.apply, tensors))


def _of_floating(layer: Any, example: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """A function of the floating arrays alone, and these."""
    leaves, tree = jax.tree.flatten(example)
    leaves = [leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf) for leaf in leaves]
    places = [k for k, leaf in enumerate(leaves) if _is_floating(leaf)]

    def function(*floating: Any) -> Any:
        filled = list(leaves)
        for place, leaf in zip(places, floating, strict=True):
            filled[place] = leaf
        return layer(*jax.tree.unflatten(tree, filled))

    return function, [leaves[place] for place in places]


def _is_floating(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


JUDGES = {"check_grads": by_check_grads, "gradcheck": by_gradcheck}
