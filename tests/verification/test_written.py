"""Values as Python code, modules by their constructors: the code gives the value again."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.verification.written import UnwritableError, imports_for, written


@jax.custom_vjp
def swish(x):
    return x * jax.nn.sigmoid(x)


swish.defvjp(lambda x: (swish(x), x), lambda x, y_bar: (y_bar * jax.nn.sigmoid(x),))


class Deep(nn.Module):
    sizes: tuple[int, ...]
    act: Callable[..., Any] = jax.nn.relu
    last: Any = None

    @nn.compact
    def __call__(self, x):
        for size in self.sizes:
            x = self.act(nn.Dense(size)(x))
        return x if self.last is None else self.last(x)


class Scaled(eqx.Module):
    w: jax.Array
    power: int = 1

    def __call__(self, x):
        return swish(self.w * x) ** self.power


class Own(eqx.Module):
    w: jax.Array

    def __init__(self, size):
        self.w = jnp.ones(size)

    def __call__(self, x):
        return swish(self.w * x)


def again(value):
    """The value of the code of a value, with what it imports."""
    names = {"jax": jax, "jnp": jnp}
    for found in imports_for(value):
        exec(f"from {found.module} import {found.name}", names)
    return eval(written(value), names)


VALUES = {
    "nothing": None,
    "a tree": {"a": (1, 2.5, "text"), "b": [True]},
    "a module": Deep((3, 4)),
    "modules inside": Deep((3,), act=jax.nn.tanh, last=nn.Dense(2, use_bias=False)),
    "no sizes": Deep((), act=swish),
    "a function of JAX": jax.nn.gelu,
    "a rule": swish,
}


@pytest.mark.parametrize("name", VALUES)
def test_the_code_gives_the_value(name):
    assert again(VALUES[name]) == VALUES[name]


def test_arrays_come_back_bit_by_bit():
    module = Scaled(jnp.asarray([0.1, np.nan, np.inf], jnp.float32), power=3)
    found = again(module)
    assert found.power == 3
    assert np.array_equal(found.w, module.w, equal_nan=True)


@pytest.mark.parametrize(
    "value", [Own(3), lambda x: x, object(), dataclasses.make_dataclass("C", [])()]
)
def test_what_has_no_code_is_named(value):
    with pytest.raises(UnwritableError, match=r"of its own|no name|an argument is"):
        again(value)


def run_again(report):
    with pytest.raises(AssertionError):
        exec(compile(report.reproduction, "script", "exec"), {})


def test_the_script_of_a_module_of_linen_fails_as_it_did():
    net, x = Deep((2,), act=swish), jnp.ones((2, 3))
    variables = net.init(jax.random.key(0), x)
    report = purebp.verify(net, variables, x, budget="quick", seed=0)
    assert "Deep(sizes=(2,), act=swish).apply(variables, x)" in report.reproduction
    run_again(report)


def test_the_script_of_a_module_of_equinox_fails_as_it_did():
    report = purebp.verify(Scaled(jnp.ones(3)), jnp.arange(3.0), budget="quick", seed=0)
    assert "module = Scaled(w=jnp.array(" in report.reproduction
    assert "    return module(x)" in report.reproduction
    run_again(report)


def test_a_module_with_a_constructor_of_its_own_has_no_script():
    report = purebp.verify(Own(3), jnp.arange(3.0), budget="quick", seed=0)
    assert report.reproduction == "# no script: Own has a constructor of its own\n"
