"""Every op in every floating dtype, and with mixed ones. Nothing is computed: shapes suffice."""

from functools import cache
from itertools import zip_longest
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import Op, chain, skip
from purebp.catalog import OPS, families
from purebp.compat import enable_x64
from purebp.errors import DtypeError
from purebp.gates import tanh
from purebp.layers import affine
from purebp.op import FIXED, REAL
from purebp.verification.cases import Case, Variant, make_args, variants
from purebp.verification.target import make_target

MODELS = [op.name for op in families()["models"]]
SIXTEEN = ("bfloat16", "float16")
INTEGERS = {"argmax", "argmin"}  # their output has no derivative


def refuses_sixteen_bits(op: Op) -> bool:
    """Whether the annotations ask for 32 bits at least: there are no factorisations in 16."""
    dtypes = [spec.dtypes for parameter in op.signature.parameters for spec in parameter.specs]
    floating = [names for names in dtypes if "float32" in names]
    return bool(floating) and not any("bfloat16" in names for names in floating)


def takes_only_complex(op: Op) -> bool:
    """Whether each array is complex; there are no complex numbers of 16 bits."""
    dtypes = [spec.dtypes for parameter in op.signature.parameters for spec in parameter.specs]
    return bool(dtypes) and all("complex64" in own and "float32" not in own for own in dtypes)


COMPLEX = [name for name in OPS if takes_only_complex(OPS[name])]
WIDE = [name for name in OPS if refuses_sixteen_bits(OPS[name])]
DTYPES = [
    (name, dtype)
    for name in OPS
    for dtype in (*SIXTEEN, "float64")
    if (name not in MODELS or dtype == "bfloat16")
    and not (name in (*WIDE, *COMPLEX) and dtype in SIXTEEN)
]
MIXED = [("bfloat16", "float32"), ("float32", "bfloat16")]


@cache
def cases_of(op: Op) -> list[tuple[dict[str, Any], tuple[Any, ...]]]:
    """The first variant with each setting of the options, and its arguments."""
    target = make_target(op)
    found: dict[Any, Variant] = {}
    for variant in variants(target):
        found.setdefault(variant.settings, variant)
    return [
        (dict(variant.settings), make_args(target, Case(variant, "normal", "normal", 0)))
        for variant in found.values()
    ]


def is_floating(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def in_dtypes(args: tuple[Any, ...], dtypes: tuple[str, ...]) -> tuple[Any, ...]:
    """The floating arrays in the given dtypes, in turn; complex ones in that of such parts."""
    leaves, tree = jax.tree.flatten(args)
    floating = [i for i, leaf in enumerate(leaves) if is_floating(leaf)]
    for place, i in enumerate(floating):
        dtype = dtypes[min(place, len(dtypes) - 1)]
        if jnp.iscomplexobj(leaves[i]):
            dtype = {"float32": "complex64", "float64": "complex128"}[dtype]
        leaves[i] = jax.ShapeDtypeStruct(leaves[i].shape, jnp.dtype(dtype))
    return jax.tree.unflatten(tree, leaves)


def check_dtypes(op: Op, dtypes: tuple[str, ...]) -> None:
    """The outputs are those of the definition; each cotangent is like its argument."""
    for settings, examples in cases_of(op):
        args = in_dtypes(examples, dtypes)

        def run(
            *args: Any, op: Op = op, settings: dict[str, Any] = settings
        ) -> tuple[Any, Any, Any]:
            out, res = op.fwd(*args, **settings)
            y = out[0] if op.has_aux else out
            return out, op.define(*args, **settings), op.bwd(res, jax.tree.map(jnp.ones_like, y))

        out, defined, bars = jax.eval_shape(run, *args)
        assert described(out) == described(defined), settings
        names = [parameter.name for parameter in op.signature.parameters]
        differentiated = [
            arg
            for name, arg in zip_longest(names, args)  # einsum takes any number
            if op.domains.get(name, REAL) != FIXED
        ]
        floating = [leaf for leaf in jax.tree.leaves(differentiated) if is_floating(leaf)]
        assert described(bars) == described([] if op.name in INTEGERS else floating), settings


def described(tree: Any) -> list[str]:
    """The dtype and shape of each array."""
    return [f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(tree)]


@pytest.mark.parametrize(("name", "dtype"), DTYPES)
def test_every_op_keeps_the_dtype(name: str, dtype: str) -> None:
    with enable_x64(dtype == "float64"):
        check_dtypes(OPS[name], (dtype,))
        _, args = cases_of(OPS[name])[0]
        y = jax.eval_shape(OPS[name], *in_dtypes(args, (dtype,)))
        leaves = [leaf for leaf in jax.tree.leaves(y) if is_floating(leaf)]
        found = {str(jnp.finfo(leaf.dtype).dtype) for leaf in leaves}
        assert found == {dtype} or name == "cast" or name in INTEGERS


@pytest.mark.parametrize("dtype", SIXTEEN)
@pytest.mark.parametrize("name", WIDE)
def test_where_there_is_no_form_in_sixteen_bits_they_are_refused(name: str, dtype: str) -> None:
    _, args = cases_of(OPS[name])[0]
    message = rf"^{name}: (\w+) has dtype {dtype}, expected float32 or float64; convert it, for "
    with pytest.raises(DtypeError, match=message):
        jax.eval_shape(OPS[name], *in_dtypes(args, (dtype,)))


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_ops_refuse_real_numbers(name: str) -> None:
    _, args = cases_of(OPS[name])[0]
    message = rf"^{name}: x has dtype bfloat16, expected a complex dtype; convert it, for example "
    with pytest.raises(DtypeError, match=message):
        jax.eval_shape(OPS[name], *(jax.ShapeDtypeStruct(x.shape, jnp.bfloat16) for x in args))


@pytest.mark.parametrize("name", WIDE)
def test_float32_and_float64_together(name: str) -> None:
    with enable_x64(True):
        for dtypes in (("float32", "float64"), ("float64", "float32")):
            check_dtypes(OPS[name], dtypes)


@pytest.mark.parametrize("dtypes", MIXED, ids=str)
@pytest.mark.parametrize("name", [name for name in OPS if name not in (*WIDE, *COMPLEX)])
def test_every_cotangent_has_the_dtype_of_its_argument(name: str, dtypes: tuple[str, ...]) -> None:
    check_dtypes(OPS[name], dtypes)


def test_the_gradient_of_jax_has_the_dtypes_too() -> None:
    x, w = jnp.ones((2, 3), jnp.bfloat16), jnp.ones((3, 3))
    op = chain(skip(affine), tanh)
    bars = jax.grad(lambda x, w: jnp.sum(op(x, ((((w,),),), ()))), (0, 1))(x, w)
    assert described(bars) == ["bfloat16[2, 3]", "float32[3, 3]"]


def test_a_cotangent_in_another_dtype_is_found() -> None:
    def forward(x: Any, y: Any) -> Any:
        return x * y, (x, y)

    def backward(res: Any, z_bar: Any) -> Any:
        return z_bar * res[1], z_bar * res[0]

    def example(rng: np.random.Generator) -> Any:
        return rng.normal(size=2), rng.normal(size=2)

    wide = Op(forward, backward, name="wide", example=example)
    check_dtypes(wide, ("float32",))
    with pytest.raises(AssertionError, match="bfloat16"):
        check_dtypes(wide, ("bfloat16", "float32"))
