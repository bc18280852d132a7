"""What annotations say: axes and dtypes are read, and arrays that do not fit are refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Bool, Complex, Float, Inexact, Int, Key, Num, Shaped

from purebp import ArgumentError, DtypeError, ShapeError
from purebp.signature import (
    ArraySpec,
    Dim,
    Parameter,
    as_array,
    check_arrays,
    parse_dims,
    read_signature,
)


@pytest.mark.parametrize(
    ("text", "dims"),
    [
        ("", ()),
        ("n d", (Dim("n"), Dim("d"))),
        ("*batch d", (Dim("batch", variadic=True), Dim("d"))),
        ("*#s", (Dim("s", variadic=True, broadcast=True),)),
        ("#*s k", (Dim("s", variadic=True, broadcast=True), Dim("k"))),
        ("#c 3", (Dim("c", broadcast=True), Dim("3"))),
        ("... _ _", (Dim("_0", variadic=True), Dim("_1"), Dim("_2"))),
        ("rows=4 ?n", (Dim("4"), Dim("n"))),
    ],
)
def test_dims_are_parsed_as_jaxtyping_does(text: str, dims: tuple[Dim, ...]) -> None:
    assert parse_dims(text) == dims


def test_a_number_is_a_size() -> None:
    assert [dim.size for dim in parse_dims("n 3 rows=4")] == [None, 3, 4]


def test_specs_describe_themselves() -> None:
    assert ArraySpec(parse_dims("n d"), ()).rank == "2"
    assert ArraySpec(parse_dims("n *rest d"), ()).rank == "at least 2"
    annotations = (Float[Array, "n"], Int[Array, "n"], Key[Array, "n"], Bool[Array, "n"])
    found = [spec_of(annotation).kind for annotation in annotations]
    assert found == ["a floating dtype", "an integer dtype", "a PRNG key", "bool or bool_"]


def spec_of(annotation: Any) -> ArraySpec:
    def function(x):
        return x

    function.__annotations__["x"] = annotation
    return read_signature(function).parameters[0].specs[0]


def layer(
    x: Float[Array, "*batch d"],
    w: Float[Array, "d k"],
    labels: Int[Array, "*batch"] | Bool[Array, "*batch"],
    b: Float[Array, "k"] | None = None,
    tree: Any = None,
    *,
    eps: float = 1e-5,
    mode: str = "same",
) -> Float[Array, "*batch k"]:
    return x @ w


def test_arguments_options_and_annotations_are_read() -> None:
    signature = read_signature(layer)
    x, w, labels, b, tree = signature.parameters
    assert dict(signature.options) == {"eps": 1e-5, "mode": "same"}
    assert not signature.variadic
    assert [p.name for p in signature.parameters] == ["x", "w", "labels", "b", "tree"]
    assert [p.optional for p in signature.parameters] == [False, False, False, True, True]
    assert x.specs[0].dims == (Dim("batch", variadic=True), Dim("d"))
    assert "bfloat16" in x.specs[0].dtypes
    assert len(labels.specs) == 2
    assert (len(w.specs), len(b.specs), tree.specs) == (1, 1, ())


def test_functions_without_annotations_take_anything() -> None:
    def free(x, *more, key=None, **others):
        return x

    signature = read_signature(free)
    assert signature.variadic
    assert signature.parameters == (Parameter("x", (), optional=False),)
    assert dict(signature.options) == {"key": None}
    check_arrays("free", signature.parameters, ["anything"])


def test_annotations_that_cannot_be_read_take_anything() -> None:
    def strange(x):
        return x

    strange.__annotations__["x"] = "NoSuchName"
    assert read_signature(strange).parameters == (Parameter("x", (), optional=False),)


KEY = jax.random.key(0)
F32, I32, C64 = jnp.ones(2), jnp.arange(2), jnp.ones(2, jnp.complex64)


@pytest.mark.parametrize(
    ("annotation", "fits", "fails"),
    [
        (Float[Array, "n"], [F32, F32.astype(jnp.bfloat16)], [I32, C64, F32 > 0]),
        (Int[Array, "n"], [I32, I32.astype(jnp.int8)], [F32, I32.astype(jnp.uint8)]),
        (Num[Array, "n"], [F32, I32, C64], [F32 > 0]),
        (Inexact[Array, "n"], [F32, C64], [I32]),
        (Complex[Array, "n"], [C64], [F32]),
        (Shaped[Array, "n"], [F32, I32, C64, F32 > 0, jax.random.split(KEY)], []),
        (Key[Array, "n"], [jax.random.split(KEY)], [I32]),
        (Float[Array, "n"] | Int[Array, "n"], [F32, I32], [C64]),
    ],
    ids=lambda value: getattr(value, "__name__", "") if not isinstance(value, list) else "",
)
def test_dtypes(annotation: Any, fits: list[Any], fails: list[Any]) -> None:
    def function(x):
        return x

    function.__annotations__["x"] = annotation
    parameters = read_signature(function).parameters
    for value in fits:
        check_arrays("op", parameters, [value])
    for value in fails:
        with pytest.raises(DtypeError, match=r"^op: x has dtype \w+, expected "):
            check_arrays("op", parameters, [value])


def check(*values: Any) -> None:
    check_arrays("layer", read_signature(layer).parameters, values)


W, B = jnp.ones((3, 4)), jnp.ones(4)


@pytest.mark.parametrize("batch", [(), (2,), (0, 5), (1, 1)])
def test_arrays_that_fit_pass(batch: tuple[int, ...]) -> None:
    labels = jnp.zeros(batch, int)
    for values in ((labels,), (labels, B), (labels == 0, None), (labels, B, "any tree")):
        assert check(jnp.ones((*batch, 3)), W, *values) is None
    with pytest.raises(ShapeError):
        check(jnp.ones((*batch, 4)), W, labels)


X, LABELS = jnp.ones((2, 3)), jnp.zeros(2, int)
REFUSED: dict[str, tuple[tuple[Any, ...], type[Exception], str]] = {
    "axis from the right": (
        (X, jnp.ones((2, 4)), LABELS),
        ShapeError,
        "layer: w has shape (2, 4), expected (3, 4) from axis -1 of x",
    ),
    "axis from the left": (
        (X, W, LABELS, jnp.ones(3)),
        ShapeError,
        "layer: b has shape (3,), expected (4,) from axis 1 of w",
    ),
    "several axes": (
        (X, W, jnp.zeros(3, int)),
        ShapeError,
        "layer: labels has shape (3,), expected (2,) from the axes of x",
    ),
    "other number of axes": (
        (X, W, jnp.zeros((), int)),
        ShapeError,
        "layer: labels has shape (), expected (2,) from the axes of x",
    ),
    "rank": (
        (X, B, LABELS),
        ShapeError,
        "layer: w has shape (4,), expected rank 2 (d k)",
    ),
    "least rank": (
        (jnp.ones(()), W, LABELS),
        ShapeError,
        "layer: x has shape (), expected rank at least 1 (*batch d)",
    ),
    "dtype": (
        (X, W, LABELS, jnp.arange(4)),
        DtypeError,
        (
            "layer: b has dtype int32, expected a floating dtype; "
            "convert it, for example b.astype(jnp.float32)"
        ),
    ),
    "first of two kinds": (
        (X, W, F32),
        DtypeError,
        "layer: labels has dtype float32, expected an integer dtype",
    ),
    "None": ((X, None, LABELS), ArgumentError, "layer: w is None, expected an array"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_arrays_that_do_not_fit_are_refused_in_one_line(case: str) -> None:
    values, error, message = REFUSED[case]
    with pytest.raises(error) as raised:
        check(*values)
    assert str(raised.value) == message


def middle(x: Float[Array, "n *rest c"], y: Float[Array, "*rest 2"]) -> None: ...
def several(x: Float[Array, "#c"], y: Float[Array, "#c"], z: Float[Array, "#c"]) -> None: ...
def spread(x: Float[Array, "*#s"], y: Float[Array, "*#s"], z: Float[Array, "*#s"]) -> None: ...


@pytest.mark.parametrize(
    ("function", "shapes", "message"),
    [
        (middle, [(5, 3, 4, 7), (3, 4, 2)], ""),
        (middle, [(5, 7), (2,)], ""),
        (
            middle,
            [(5, 3, 7), (4, 2)],
            "op: y has shape (4, 2), expected (3, 2) from the axes of x",
        ),
        (
            middle,
            [(5, 3, 7), (3, 9)],
            "op: y has shape (3, 9), expected (3, 2) from the definition",
        ),
        (several, [(1,), (3,), (3,)], ""),
        (several, [(3,), (1,), (1,)], ""),
        (several, [(1,), (3,), (5,)], "op: z has shape (5,), expected (3,) from axis 0 of y"),
        (several, [(3,), (5,), (3,)], "op: y has shape (5,), expected (3,) from axis 0 of x"),
        (spread, [(2, 1), (3,), (4, 1, 1)], ""),
        (
            spread,
            [(2, 1), (3,), (4, 3)],
            "op: z has shape (4, 3), which does not broadcast with (2, 3) of x",
        ),
    ],
)
def test_axes_in_the_middle_and_axes_that_broadcast(function, shapes, message: str) -> None:
    parameters = read_signature(function).parameters
    arrays = [jnp.zeros(shape) for shape in shapes]
    if not message:
        assert check_arrays("op", parameters, arrays) is None
        return
    with pytest.raises(ShapeError) as raised:
        check_arrays("op", parameters, arrays)
    assert str(raised.value) == message


def test_numbers_and_sequences_become_arrays_and_arrays_stay() -> None:
    assert as_array("op", "x", F32) is F32
    assert as_array("op", "x", KEY) is KEY
    assert as_array("op", "x", 2.0).dtype == jnp.float32
    assert as_array("op", "x", [[1, 2]]).shape == (1, 2)
    assert as_array("op", "x", np.float64(2)).shape == ()
    traced = jax.jit(lambda x: as_array("op", "x", [x, 2.0]))(1.0)
    assert traced.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("value", "came"),
    [
        ("text", "a str"),
        ({"a": 1}, "a dict"),
        ([[1], [2, 3]], "a list of 2"),
        (object(), "an object"),
        (np.array(["a"]), "an array of shape (1,)"),
    ],
    ids=["text", "dict", "ragged", "object", "array of text"],
)
def test_what_is_not_numbers_is_refused(value: Any, came: str) -> None:
    with pytest.raises(DtypeError) as raised:
        as_array("op", "x", value)
    assert str(raised.value) == f"op: x is {came}, expected an array of numbers"
