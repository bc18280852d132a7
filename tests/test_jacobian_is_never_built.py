"""The notes' 409600 x 409600 Jacobian: the compiled backward pass never holds it.

What a compiled program holds at its peak is in its memory analysis: arguments, outputs, and
temporary arrays.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from purebp import Op
from purebp.activations import OPS as ACTIVATIONS
from purebp.activations import relu
from purebp.gates import OPS as GATES
from purebp.gates import branch, dot, matmul, mul, sigmoid
from purebp.op import KEY, MASK
from purebp.signature import Parameter
from reference.worked_examples import JACOBIAN_SIZES
from tests.moving import MOVING

BATCH, FEATURES = 100, 4096
FLOAT32 = 4
# y_bar, the residuals (at most two arrays) and two cotangents are 5 arrays; a few more for
# temporary ones. The Jacobian would be 409600 of them.
ARRAYS = 8

ITERATED = {"igamma", "igammac", "betainc"}  # XLA's series and continued fraction keep 44 arrays
ELEMENTWISE = [
    op
    for op in (*GATES, *ACTIVATIONS)
    if op not in (matmul, dot, branch) and op.name not in MOVING | ITERATED
]


def peak_bytes(function: Callable[..., Any], *args: Any) -> int:
    """The bytes that a compiled program holds: its arguments, its outputs, its temporaries."""
    analysis = jax.jit(function).lower(*args).compile().memory_analysis()
    assert analysis is not None
    return (
        analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
        + analysis.temp_size_in_bytes
    )


def dtype_of(parameter: Parameter) -> Any:
    """float32, or complex64 where that is asked for."""
    real = not parameter.specs or "complex64" not in parameter.specs[0].dtypes
    return jnp.float32 if real or "float32" in parameter.specs[0].dtypes else jnp.complex64


def backward_bytes(op: Op, shape: tuple[int, ...], bwd: Callable[..., Any] | None = None) -> int:
    """The bytes of the compiled `bwd` on arrays of one shape; nothing is computed."""
    needed = [parameter for parameter in op.signature.parameters if not parameter.optional]
    domains = [op.domains.get(parameter.name) for parameter in needed]
    dtypes = [
        bool if domain == MASK else dtype_of(parameter)
        for parameter, domain in zip(needed, domains, strict=True)
    ]
    key = jax.eval_shape(lambda: jax.random.key(0))
    args = [
        key if domain == KEY else jax.ShapeDtypeStruct(shape, dtype)
        for domain, dtype in zip(domains, dtypes, strict=True)
    ]
    y, res = jax.eval_shape(op.fwd, *args)
    return peak_bytes(bwd or op.bwd, res, y)


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_the_backward_pass_holds_a_few_arrays(op: Op) -> None:
    array = BATCH * FEATURES * FLOAT32
    entries, (rows, columns) = JACOBIAN_SIZES[1]
    assert entries == BATCH * FEATURES
    held = backward_bytes(op, (BATCH, FEATURES))
    assert FLOAT32 < held <= ARRAYS * array
    assert held < rows * columns * FLOAT32 / 10_000


def test_the_whole_gradient_holds_a_few_arrays() -> None:
    x = jax.ShapeDtypeStruct((BATCH, FEATURES), jnp.float32)
    held = peak_bytes(jax.grad(lambda x: jnp.sum(sigmoid(relu(x)))), x)
    assert held <= ARRAYS * BATCH * FEATURES * FLOAT32


@pytest.mark.parametrize("shape", [(16, 64), (32, 64)])
def test_a_backward_pass_that_builds_the_jacobian_is_noticed(shape: tuple[int, ...]) -> None:
    def by_jacobian(res: Any, y_bar: Any) -> Any:
        slopes = sigmoid.bwd(res, jnp.ones_like(y_bar))[0]
        jacobian = jnp.diag(slopes.ravel())
        return ((jacobian @ y_bar.ravel()).reshape(y_bar.shape),)

    array = shape[0] * shape[1] * FLOAT32
    held = backward_bytes(sigmoid, shape, by_jacobian)
    assert held > shape[0] * shape[1] * array
    assert held > ARRAYS * array
    assert backward_bytes(sigmoid, shape) <= ARRAYS * array


def test_the_analysis_counts_arguments_outputs_and_temporaries() -> None:
    x = jax.ShapeDtypeStruct((BATCH, FEATURES), jnp.float32)
    assert peak_bytes(lambda x, y: x + y, x, x) >= 3 * BATCH * FEATURES * FLOAT32
    assert backward_bytes(mul, (BATCH, FEATURES)) >= 5 * BATCH * FEATURES * FLOAT32
