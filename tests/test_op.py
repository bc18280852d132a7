"""The contract of Op: the explicit pair, the call, the options, and what misuse is told."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, Int, Key

from purebp import (
    ArgumentError,
    CotangentError,
    DtypeError,
    Op,
    OptionError,
    PurebpError,
    ResidualsError,
    ShapeError,
)
from purebp.compat import enable_x64
from purebp.gates import branch, mul, sum, tanh
from purebp.op import STRICT, conditioned
from purebp.residuals import Residuals

CALLS: list[dict[str, Any]] = []


def power_definition(
    x: Float[Array, "*batch d"], w: Float[Array, "d"], *, exponent: int = 2, shift: float = 0.0
) -> Float[Array, "*batch d"]:
    """w x^exponent + shift."""
    return w * x**exponent + shift


def power_fwd(x: Array, w: Array, *, exponent: int = 2, shift: float = 0.0) -> Any:
    CALLS.append({"exponent": exponent, "shift": shift})
    return w * x**exponent + shift, (x, w)


def power_bwd(res: Any, y_bar: Array, *, exponent: int = 2) -> Any:
    x, w = res
    axes = tuple(range(x.ndim - 1))
    return y_bar * w * exponent * x ** (exponent - 1), jnp.sum(y_bar * x**exponent, axes)


power = Op(power_fwd, power_bwd, definition=power_definition, options={"exponent": (2, 3)})
X, W = jnp.array([[1.0, 2.0, 3.0], [0.5, -1.0, 4.0]]), jnp.array([2.0, -1.0, 0.5])


def test_the_explicit_pair() -> None:
    y, res = power.fwd(X, W)
    x_bar, w_bar = power.bwd(res, jnp.ones_like(y))
    assert isinstance(res, Residuals)
    np.testing.assert_array_equal(y, W * X**2)
    np.testing.assert_array_equal(x_bar, 2 * W * X)
    np.testing.assert_array_equal(w_bar, np.sum(X**2, 0))


@pytest.mark.parametrize("options", [{}, {"exponent": 3}, {"exponent": 3, "shift": 1.5}])
def test_call_fwd_and_define_agree(options: dict[str, Any]) -> None:
    y = power(X, W, **options)
    np.testing.assert_array_equal(y, power.fwd(X, W, **options)[0])
    np.testing.assert_array_equal(y, power.define(X, W, **options))
    np.testing.assert_array_equal(y, power.with_options(**options)(X, W))
    by_op = jax.grad(lambda x, w: jnp.sum(power(x, w, **options)), (0, 1))(X, W)
    expected = jax.grad(lambda x, w: jnp.sum(power.define(x, w, **options)), (0, 1))(X, W)
    for came, want in zip(by_op, expected, strict=True):
        np.testing.assert_allclose(came, want, rtol=1e-6)


def test_the_call_uses_the_hand_written_pair_and_not_autodiff() -> None:
    wrong = Op(power_fwd, lambda res, y_bar: (7 * y_bar, 0 * res[1]), definition=power_definition)
    assert jax.grad(lambda x: jnp.sum(wrong(x, W)))(X).tolist() == [[7.0] * 3] * 2


def test_the_definition_is_not_called_by_fwd_or_the_call() -> None:
    def never_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        raise AssertionError

    op = Op(lambda x: (x, None), lambda _, y_bar: (y_bar,), definition=never_definition)
    assert (op(2.0), op.fwd(2.0)[0], jax.grad(op)(2.0)) == (2.0, 2.0, 1.0)
    with pytest.raises(AssertionError):
        op.define(2.0)


def test_there_is_one_custom_vjp_for_each_setting() -> None:
    op = Op(power_fwd, power_bwd, definition=power_definition)
    for _ in range(2):
        op(X, W)
        op(X, W, exponent=2)
        op(X, W, exponent=3)
        op.with_options(exponent=3)(X, W)
        op.with_options(exponent=3)(X, W, exponent=2)
        jax.jit(jax.grad(lambda x: jnp.sum(op(x, W, exponent=3))))(X)
    assert len(op._calls) == 2


def test_jit_traces_each_pass_once() -> None:
    traced: list[str] = []

    def forward(x: Any, *, exponent: int = 2) -> Any:
        traced.append("fwd")
        return x**exponent, x

    def backward(x: Any, y_bar: Any, *, exponent: int = 2) -> Any:
        traced.append("bwd")
        return (y_bar * exponent * x ** (exponent - 1),)

    op = Op(forward, backward, name="power")
    fwd, bwd = jax.jit(op.fwd), jax.jit(op.bwd)
    for _ in range(3):
        y, res = fwd(X)
        bwd(res, y)
    assert traced == ["fwd", "bwd"]


@pytest.mark.parametrize("x", [2.0, np.float32(2), jnp.float32(2)], ids=["python", "numpy", "jax"])
def test_a_scalar_reaches_fwd_as_an_array(x: Any) -> None:
    def seen_fwd(x: Float[Array, ""]) -> Any:
        seen.append(isinstance(x, jax.Array) and x.shape == ())
        return x, None

    def seen_bwd(res: Any, y_bar: Any) -> Any:
        return (3 * y_bar,)

    seen: list[bool] = []
    op = Op(seen_fwd, seen_bwd)
    assert (op(x), op.fwd(x)[0], jax.grad(op)(x), jax.jit(jax.grad(op))(x)) == (2, 2, 3, 3)
    assert all(seen)
    assert jax.grad(tanh)(0.0) == 1.0


def test_options_are_static() -> None:
    CALLS.clear()
    jax.jit(lambda x, w: power(x, w, exponent=3))(X, W)
    assert CALLS == [{"exponent": 3, "shift": 0.0}]
    assert type(CALLS[0]["exponent"]) is int


def test_residuals_carry_the_options() -> None:
    y, res = power.fwd(X, W, exponent=3)
    assert dict(res.settings) == {"exponent": 3, "shift": 0.0}
    for op in (power, power.with_options(exponent=5)):
        np.testing.assert_array_equal(op.bwd(res, jnp.ones_like(y))[0], 3 * W * X**2)
    y, res = jax.jit(power.with_options(exponent=4).fwd)(X, W)
    np.testing.assert_allclose(jax.jit(power.bwd)(res, jnp.ones_like(y))[0], 4 * W * X**3)


def test_with_options_leaves_the_op_as_it_is() -> None:
    cubic = power.with_options(exponent=3)
    shifted = cubic.with_options(shift=1.0)
    assert isinstance(cubic, Op)
    assert (power.settings, cubic.settings) == ({}, {"exponent": 3})
    assert shifted.settings == {"exponent": 3, "shift": 1.0}
    assert repr(power) == "<Op power>"
    assert repr(shifted) == "<Op power, exponent=3, shift=1.0>"
    assert shifted.name == power.name


def test_arguments_may_be_named() -> None:
    np.testing.assert_array_equal(power(w=W, x=X), power(X, W))
    np.testing.assert_array_equal(power.fwd(X, w=W, exponent=3)[0], power(X, W, exponent=3))


def test_an_op_looks_like_its_definition() -> None:
    assert power.name == power.__name__ == "power"
    assert power.__doc__ == "w x^exponent + shift."
    assert list(power.__signature__.parameters) == ["x", "w", "exponent", "shift"]
    assert jax.jit(power)(X, W).shape == X.shape
    assert power.tolerance is STRICT
    assert conditioned("why").reason == "why"


def test_without_a_definition_it_is_the_output_of_fwd() -> None:
    def twice_fwd(x: Any, *, times: int = 2) -> Any:
        return times * x, None

    def twice_bwd(res: Any, y_bar: Any, *, times: int = 2) -> Any:
        return (times * y_bar,)

    twice = Op(twice_fwd, twice_bwd)
    assert (twice.name, twice.define(3.0, times=3)) == ("twice", 9.0)
    assert (twice(3.0), jax.grad(twice)(3.0), jax.grad(twice.define)(3.0)) == (6.0, 2.0, 2.0)
    assert Op(twice_fwd, twice_bwd, name="double").name == "double"


def pick_definition(
    x: Float[Array, "n d"],
    labels: Int[Array, "n"],
    key: Key[Array, ""],
    b: Float[Array, "n"] | None = None,
) -> Float[Array, "n"]:
    y = jnp.take_along_axis(x, labels[:, None], 1)[:, 0]
    return y if b is None else y + b


def pick_fwd(x: Array, labels: Array, key: Array, b: Array | None = None) -> Any:
    return pick_definition(x, labels, key, b), (labels, jnp.zeros_like(x), b is None)


def pick_bwd(res: Any, y_bar: Array) -> Any:
    labels, zeros, no_b = res
    return zeros.at[jnp.arange(len(labels)), labels].set(y_bar), None, None, None if no_b else y_bar


pick = Op(pick_fwd, pick_bwd, definition=pick_definition)
LABELS, KEY = jnp.array([2, 0]), jax.random.key(0)


def test_integers_keys_and_missing_arguments_have_no_cotangent() -> None:
    y, res = pick.fwd(X, LABELS, KEY)
    x_bar, *rest = pick.bwd(res, jnp.ones_like(y))
    assert rest == [None, None, None]
    assert x_bar.tolist() == [[0, 0, 1], [1, 0, 0]]
    by_jax = jax.grad(lambda *args: jnp.sum(pick(*args)))(X, LABELS, KEY, None)
    assert by_jax.tolist() == x_bar.tolist()
    b_bar = jax.grad(lambda b: jnp.sum(pick(X, LABELS, KEY, b)))(jnp.ones(2))
    assert b_bar.tolist() == [1, 1]
    _, pull = jax.vjp(pick, X, LABELS, KEY)
    assert pull(y)[1].dtype == jax.dtypes.float0


def test_python_numbers_lists_and_numpy_arrays() -> None:
    y, res = mul.fwd(3.0, np.float32(4))
    assert (y, mul.bwd(res, 1), mul.bwd(res, np.float64(2))) == (12.0, (4.0, 3.0), (8.0, 6.0))
    assert all(isinstance(bar, jax.Array) for bar in mul.bwd(res, 1.0))
    assert mul([1.0, 2.0], np.array([3.0, 4.0])).tolist() == [3.0, 8.0]
    assert mul(np.ones(2), 2.0).dtype == jnp.float32
    assert tanh.bwd(tanh.fwd(np.zeros(2))[1], np.ones(2, np.float32))[0].tolist() == [1.0, 1.0]
    with enable_x64(True):
        assert mul(np.ones(2), 2.0).dtype == jnp.float64


def test_a_python_number_takes_the_dtype_of_the_array() -> None:
    x = jnp.ones(2, jnp.bfloat16)
    assert mul(x, 3.0).dtype == jnp.bfloat16
    assert jax.grad(lambda x: jnp.sum(mul(x, 3.0)))(x).dtype == jnp.bfloat16


def moments_definition(x: Float[Array, "n"]) -> tuple[Float[Array, "n"], Float[Array, ""]]:
    return x - jnp.mean(x), jnp.mean(x)


def moments_fwd(x: Array) -> Any:
    return moments_definition(x), None


def moments_bwd(res: Any, y_bar: Array) -> Any:
    return (y_bar - jnp.mean(y_bar),)


moments = Op(moments_fwd, moments_bwd, definition=moments_definition, has_aux=True)


def test_aux_output_is_not_differentiated() -> None:
    (y, aux), res = moments.fwd(W)
    y_bar = jnp.array([1.0, 0.0, 0.0])
    (x_bar,) = moments.bwd(res, y_bar)
    assert (aux, moments(W)[1]) == (0.5, 0.5)
    np.testing.assert_allclose(x_bar, [2 / 3, -1 / 3, -1 / 3], rtol=1e-6)
    _, pull = jax.vjp(moments, W)
    np.testing.assert_array_equal(pull((y_bar, jnp.float32(100)))[0], x_bar)
    slope = jax.grad(lambda x: jnp.vdot(y_bar, moments(x)[0]), has_aux=False)(W)
    np.testing.assert_array_equal(slope, x_bar)
    assert y.shape == W.shape


def test_pytrees_are_arguments_too() -> None:
    def norm_fwd(tree: Any) -> Any:
        return sum_of_squares(tree), tree

    def norm_bwd(tree: Any, y_bar: Any) -> Any:
        return (jax.tree.map(lambda leaf: 2 * y_bar * leaf, tree),)

    def sum_of_squares(tree: Any) -> Any:
        return jax.tree.reduce(jnp.add, jax.tree.map(lambda leaf: jnp.sum(leaf**2), tree))

    tree = {"a": X, "b": [W, None]}
    slopes = jax.grad(Op(norm_fwd, norm_bwd))(tree)
    expected = jax.grad(sum_of_squares)(tree)
    assert jax.tree.structure(slopes) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, slopes, expected)


def check_even(x: Any, *, halves: int = 2) -> None:
    if x.shape[0] % halves:
        raise ShapeError(f"split: x has shape {x.shape}, expected a multiple of {halves} rows")


def split_definition(x: Float[Array, "n d"], *, halves: int = 2) -> Float[Array, "m d"]:
    return x[: x.shape[0] // halves]


def split_fwd(x: Array, *, halves: int = 2) -> Any:
    return split_definition(x, halves=halves), jnp.zeros_like(x)


def split_bwd(zeros: Array, y_bar: Array) -> Any:
    return (zeros.at[: y_bar.shape[0]].set(y_bar),)


split = Op(split_fwd, split_bwd, definition=split_definition, check=check_even)


@pytest.mark.parametrize("call", [split, split.fwd, split.define])
def test_an_op_checks_what_annotations_cannot_say(call: Callable[..., Any]) -> None:
    assert call(X) is not None
    with pytest.raises(ShapeError, match=r"^split: x has shape \(2, 3\), expected a multiple of 3"):
        call(X, halves=3)


def returns(*, fwd: Any = None, bwd: Any = None, **fields: Any) -> Op:
    """An op of x and w whose fwd or bwd returns what is given."""

    def forward(x: Any, w: Any = None) -> Any:
        return (x, None) if fwd is None else fwd

    def backward(res: Any, y_bar: Any) -> Any:
        return bwd

    return Op(forward, backward, name="layer", **fields)


def backward_of(op: Op, y_bar: Any, *args: Any) -> Any:
    return op.bwd(op.fwd(*args)[1], y_bar)


ONE, TWO = jnp.float32(1), jnp.ones(2)
MISUSE: dict[str, tuple[Callable[[], Any], type[PurebpError], str]] = {
    "rank": (
        lambda: power(X, X),
        ShapeError,
        "power: w has shape (2, 3), expected rank 1 (d)",
    ),
    "rank of several axes": (
        lambda: power(ONE, W),
        ShapeError,
        "power: x has shape (), expected rank at least 1 (*batch d)",
    ),
    "axis": (
        lambda: power(X, TWO),
        ShapeError,
        "power: w has shape (2,), expected (3,) from axis -1 of x",
    ),
    "integers": (
        lambda: power(jnp.arange(3), W),
        DtypeError,
        (
            "power: x has dtype int32, expected a floating dtype; "
            "convert it, for example x.astype(jnp.float32)"
        ),
    ),
    "truth values": (
        lambda: power(X, W > 0),
        DtypeError,
        "power: w has dtype bool, expected a floating dtype",
    ),
    "complex numbers": (
        lambda: power(X, W * 1j),
        DtypeError,
        (
            "power: w has dtype complex64, expected a floating dtype; "
            "pass a real array, for example w.real"
        ),
    ),
    "a key for numbers": (
        lambda: power(KEY, W),
        DtypeError,
        "power: x has dtype prng_key, expected a floating dtype",
    ),
    "numbers for a key": (
        lambda: pick(X, LABELS, jnp.zeros(2, jnp.uint32)),
        DtypeError,
        "pick: key has dtype uint32, expected a PRNG key; make one with jax.random.key(0)",
    ),
    "floats for labels": (
        lambda: pick(X, TWO, KEY),
        DtypeError,
        "pick: labels has dtype float32, expected an integer dtype",
    ),
    "no array": (
        lambda: power("x", W),
        DtypeError,
        "power: x is a str, expected an array of numbers",
    ),
    "ragged": (
        lambda: power([[1.0], [1.0, 2.0]], W),
        DtypeError,
        "power: x is a list of 2, expected an array of numbers",
    ),
    "None": (
        lambda: power(X, None),
        ArgumentError,
        "power: w is None, expected an array",
    ),
    "missing argument": (
        lambda: power(X),
        ArgumentError,
        "power: missing a required argument: 'w'; the arguments are x, w",
    ),
    "too many arguments": (
        lambda: power(X, W, 3),
        ArgumentError,
        "power: too many positional arguments; the arguments are x, w",
    ),
    "argument twice": (
        lambda: power(X, W, x=X),
        ArgumentError,
        "power: multiple values for argument 'x'; the arguments are x, w",
    ),
    "unknown option": (
        lambda: power(X, W, exponant=3),
        OptionError,
        "power has no option 'exponant'; did you mean 'exponent'? (its options: exponent, shift)",
    ),
    "unknown option, nothing near": (
        lambda: power.with_options(q=1),
        OptionError,
        "power has no option 'q' (its options: exponent, shift)",
    ),
    "no options at all": (
        lambda: tanh(X, axis=1),
        OptionError,
        "tanh has no option 'axis' (its options: none)",
    ),
    "unknown option declared": (
        lambda: Op(power_fwd, power_bwd, options={"exponents": (1, 2)}),
        OptionError,
        "power has no option 'exponents'; did you mean 'exponent'? (its options: exponent, shift)",
    ),
    "unhashable option": (
        lambda: power(X, W, exponent=[2]),
        OptionError,
        (
            "power: option exponent is [2], expected a hashable value; "
            "options are static: pass numbers, strings or tuples"
        ),
    ),
    "traced option": (
        lambda: power(X, W, shift=jnp.zeros(())),
        OptionError,
        (
            "power: option shift is Array(0., dtype=float32), expected a hashable value; "
            "options are static: pass numbers, strings or tuples"
        ),
    ),
    "residuals of another op": (
        lambda: power.bwd(tanh.fwd(X)[1], X),
        ResidualsError,
        "power: res is from tanh, expected the residuals of power.fwd",
    ),
    "no residuals": (
        lambda: power.bwd((X, W), X),
        ResidualsError,
        "power: res is a tuple of 2, expected the residuals of power.fwd",
    ),
    "y_bar of another shape": (
        lambda: backward_of(power, W, X, W),
        ShapeError,
        "power: y_bar has shape (3,), expected (2, 3) like the output",
    ),
    "a number as y_bar of an array": (
        lambda: backward_of(power, 1.0, X, W),
        ShapeError,
        "power: y_bar has shape (), expected (2, 3) like the output",
    ),
    "y_bar of another dtype": (
        lambda: backward_of(power, X.astype(jnp.bfloat16), X, W),
        DtypeError,
        "power: y_bar has dtype bfloat16, expected float32 like the output",
    ),
    "y_bar is not an array": (
        lambda: backward_of(tanh, "1", ONE),
        DtypeError,
        "tanh: y_bar is a str, expected an array of numbers",
    ),
    "y_bar of another structure": (
        lambda: backward_of(tanh, (ONE, ONE), ONE),
        ArgumentError,
        "tanh: y_bar has the structure PyTreeDef((*, *)), expected PyTreeDef(*) like the output",
    ),
    "too few parts of y_bar": (
        lambda: backward_of(branch, ONE, ONE),
        ArgumentError,
        "branch: y_bar has the structure PyTreeDef(*), expected PyTreeDef((*, *)) like the output",
    ),
    "too few cotangents": (
        lambda: backward_of(returns(bwd=(ONE,)), ONE, ONE, TWO),
        CotangentError,
        "layer: bwd returned 1 cotangents, expected 2, one for each argument (x, w)",
    ),
    "one cotangent, not a tuple": (
        lambda: backward_of(returns(bwd=TWO), ONE, ONE),
        CotangentError,
        (
            "layer: bwd returned an array of shape (2,), expected a tuple of 2, "
            "one cotangent for each argument; write `return x_bar,`"
        ),
    ),
    "bwd without return": (
        lambda: backward_of(returns(), ONE, ONE),
        CotangentError,
        (
            "layer: bwd returned None, expected a tuple of 2, "
            "one cotangent for each argument; write `return x_bar,`"
        ),
    ),
    "fwd without residuals": (
        lambda: returns(fwd=TWO)(ONE),
        ResidualsError,
        "layer: fwd returned an array of shape (2,), expected the pair (y, residuals)",
    ),
    "fwd with three outputs": (
        lambda: returns(fwd=(ONE, ONE, ONE)).fwd(ONE),
        ResidualsError,
        "layer: fwd returned a tuple of 3, expected the pair (y, residuals)",
    ),
    "fwd without aux": (
        lambda: returns(fwd=(ONE, None), has_aux=True).fwd(ONE),
        ResidualsError,
        "layer: the output is an array of shape (), expected the pair (y, aux)",
    ),
    "reduction without that axis": (
        lambda: sum(X, axis=(0, -2)),
        OptionError,
        "sum: axis is (0, -2), expected None or axes of x of shape (2, 3), each once",
    ),
    "no copies": (
        lambda: branch(X, copies=0),
        OptionError,
        "branch: copies is 0, expected an integer of at least 1",
    ),
}


@pytest.mark.parametrize("case", MISUSE)
def test_misuse_is_answered_in_one_line(case: str) -> None:
    call, error, message = MISUSE[case]
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "call",
    [power, power.fwd, power.define, jax.jit(power), jax.grad(power)],
    ids=["call", "fwd", "define", "jit", "grad"],
)
def test_every_way_of_calling_checks_its_arguments(call: Callable[..., Any]) -> None:
    with pytest.raises(ShapeError, match=r"^power: w has shape \(2,\), expected \(3,\)"):
        call(X, TWO)


def test_wrong_counts_are_refused_under_grad_too() -> None:
    with pytest.raises(CotangentError, match=r"^layer: bwd returned 1 cotangents, expected 2"):
        jax.grad(returns(bwd=(ONE,)))(ONE, ONE)


def test_an_option_is_not_taken_by_position_and_an_array_is_not_an_option() -> None:
    with pytest.raises(ArgumentError, match=r"^sum: too many positional arguments"):
        sum(X, 0)
    with pytest.raises(OptionError, match=r"^power has no option 'w'"):
        power.with_options(w=W)


def test_an_option_without_a_default_has_to_be_given():
    def scaled_fwd(x, *, scale):
        return scale * x, ()

    def scaled_bwd(residuals, y_bar, *, scale):
        return (scale * y_bar,)

    op = Op(scaled_fwd, scaled_bwd)
    assert op(jnp.ones(2), scale=3.0).tolist() == [3.0, 3.0]
    assert (
        jax.grad(lambda x: op.with_options(scale=4.0)(x).sum())(jnp.ones(2)).tolist() == [4.0] * 2
    )
    with pytest.raises(ArgumentError, match=r"missing a required .*argument: 'scale'"):
        op(jnp.ones(2))
