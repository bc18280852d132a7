"""Hand-derived, proved by running: where JAX's differentiation raises, every pair still runs."""

import importlib
import pkgutil
import types
from collections.abc import Iterator
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import pytest

import purebp
from purebp.catalog import OPS
from purebp.compat import enable_x64
from purebp.op import Op
from purebp.verification.cases import Case, Variant, make_args, variants
from purebp.verification.target import Target, make_target
from tests.autodiff.programs import PROGRAMS

DIFFERENTIATION = (
    "grad",
    "hessian",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "linear_transpose",
    "linearize",
    "value_and_grad",
    "vjp",
)
CHECKERS = ("purebp.verification", "purebp.benchmark")


class DifferentiatedError(Exception):
    """A hand-derived pair called a function that differentiates."""


@pytest.fixture
def no_differentiation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise DifferentiatedError

    jax.clear_caches()  # a function that is traced already would not call anything
    for name in DIFFERENTIATION:
        monkeypatch.setattr(jax, name, refuse)
    yield
    monkeypatch.undo()
    jax.clear_caches()


def one_variant_for_each_setting(target: Target) -> list[Variant]:
    return list({variant.settings: variant for variant in reversed(variants(target))}.values())


def trace_both_passes(op: Op) -> None:
    """Trace `fwd` and `bwd`, which runs all of their Python, for each setting of the options."""
    target = make_target(op)
    for variant in one_variant_for_each_setting(target):
        settings = dict(variant.settings)

        def both(*args: Any, settings: dict[str, Any] = settings) -> Any:
            y = target.forward(settings, *args)
            return target.pull(settings, args, jax.tree.map(jnp.ones_like, y))

        jax.make_jaxpr(both)(*make_args(target, Case(variant, "normal", "normal", 0)))


@pytest.mark.usefixtures("no_differentiation")
@pytest.mark.parametrize("name", OPS)
def test_no_pair_differentiates(name: str) -> None:
    trace_both_passes(OPS[name])


@pytest.mark.usefixtures("no_differentiation")
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_reverse_mode_of_purebp_does_not_differentiate(name: str) -> None:
    function, args = PROGRAMS[name]
    places = tuple(range(len(args)))
    with enable_x64(True):
        jax.make_jaxpr(purebp.grad(function, places))(*map(jnp.asarray, args))


def square(x: jax.Array) -> jax.Array:
    return x * x


def square_fwd(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return square(x), x


def square_bwd_by(function: str) -> Any:
    def square_bwd(x: jax.Array, y_bar: jax.Array) -> tuple[jax.Array]:
        if function == "vjp":
            return jax.vjp(square, x)[1](y_bar)
        return (y_bar * getattr(jax, function)(square)(x),)

    return square_bwd


def example(rng: Any) -> tuple[jax.Array]:
    return (jnp.float32(rng.normal()),)


@pytest.mark.usefixtures("no_differentiation")
@pytest.mark.parametrize("function", ["vjp", "grad", "jacobian", "jacrev", "jacfwd"])
def test_a_planted_pair_that_differentiates_is_caught(function: str) -> None:
    with pytest.raises(DifferentiatedError):
        trace_both_passes(Op(square_fwd, square_bwd_by(function), square, example=example))


def differentiators(module: types.ModuleType) -> list[str]:
    """The names under which a module holds a function of JAX that differentiates."""
    banned_functions = [getattr(jax, name) for name in DIFFERENTIATION]
    return [
        name
        for name, value in vars(module).items()
        if any(value is function for function in banned_functions)
    ]


def test_no_module_holds_a_function_that_differentiates() -> None:
    names = [found.name for found in pkgutil.walk_packages(purebp.__path__, "purebp.")]
    names.remove("purebp.__main__")  # to import it is to run the command
    derived = [name for name in names if not name.startswith(CHECKERS)]
    assert "purebp.gates.arithmetic" in derived
    held = {name: differentiators(importlib.import_module(name)) for name in derived}
    assert {name: found for name, found in held.items() if found} == {}


def test_a_planted_module_that_holds_one_is_caught() -> None:
    module = types.ModuleType("planted")
    vars(module)["pull"] = jax.vjp
    assert differentiators(module) == ["pull"]
