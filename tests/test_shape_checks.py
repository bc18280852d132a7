"""The shapes in purebp's annotations are enforced while the tests run."""

from typing import Any

import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float, TypeCheckError, jaxtyped

from purebp.gates.linalg import matmul
from tests.shape_checks import check, names_array


def test_an_array_is_found_in_an_annotation() -> None:
    assert names_array(Float[Array, "n"])
    assert names_array(tuple[Float[Array, "n"], int] | None)
    assert not names_array(tuple[int, ...] | None)


def test_a_wrong_shape_is_caught() -> None:
    @jaxtyped(typechecker=check)
    def twice(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        return jnp.concatenate([x, x])

    with pytest.raises(TypeCheckError, match="return value"):
        twice(jnp.ones((2, 3)))


def test_functions_without_arrays_keep_their_own_errors() -> None:
    @jaxtyped(typechecker=check)
    def strict(count: int) -> Any:
        raise TypeError(f"count is {count!r}")

    with pytest.raises(TypeError, match="count is 'two'"):
        strict("two")


def test_purebp_itself_is_under_the_checker() -> None:
    with pytest.raises(TypeCheckError):
        matmul.definition(jnp.ones((2, 3)), jnp.ones(3))
