"""chain, parallel, fanout and skip: random nets against autodiff of their plain definitions."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jaxtyping import Array, Float

from purebp import ArgumentError, Op, ShapeError, chain, fanout, parallel, skip
from purebp.compat import enable_x64
from purebp.gates import add, branch, identity, max, mul, neg, sigmoid, square, sub, sum, tanh
from purebp.layers import affine
from purebp.residuals import Residuals

UNARY = (tanh, sigmoid, square, neg, identity)
BINARY = (add, mul, sub, max)
SHAPES = ((), (1,), (3,), (2, 3), (0,))


class Net(NamedTuple):
    """An op that keeps the shape of x, and its other arguments (0-d arrays weigh the gates)."""

    op: Op
    extra: tuple[Any, ...]


def one_weight(gate: Op, weight: float) -> Net:
    return Net(gate, (np.float64(weight),))


def in_a_row(kind: Callable[..., Op], nets: list[Net], container: type) -> Net:
    """chain(*nets) or skip(*nets): params is a tuple or a list."""
    return Net(kind(*(net.op for net in nets)), (container(net.extra for net in nets),))


def forked(fork: Callable[..., Op], nets: list[Net], gate: Op, tail: Net, *, nest: bool) -> Net:
    """x goes to two nets, a gate makes one of the two results, a third net follows."""
    both = (nets[0].extra, nets[1].extra)
    if nest:
        inner = chain(gate, tail.op)
        ops, params = (fork(nets[0].op, nets[1].op), inner), ((both,), (((), tail.extra),))
    else:
        second = parallel(tail.op, nets[0].op)
        ops = (fork(nets[0].op, nets[1].op), second, gate)
        params = ((both,), ((tail.extra, nets[0].extra),), ())
    return Net(chain(*ops), (params,))


def nets(
    fork: Callable[..., Op] = fanout, bypass: Callable[..., Op] = skip
) -> st.SearchStrategy[Net]:
    """Nets of up to a dozen gates; `fork` and `bypass` are used for fanout and skip."""
    weights = st.floats(-1.5, 1.5, width=32)
    leaves = st.one_of(
        st.builds(Net, st.sampled_from(UNARY), st.just(())),
        st.builds(one_weight, st.sampled_from(BINARY), weights),
    )

    def grow(smaller: st.SearchStrategy[Net]) -> st.SearchStrategy[Net]:
        several = st.lists(smaller, min_size=1, max_size=3)
        containers = st.sampled_from([tuple, list])
        two = st.lists(smaller, min_size=2, max_size=2)
        gate = st.sampled_from(BINARY)
        return st.one_of(
            st.builds(partial(in_a_row, chain), several, containers),
            st.builds(partial(in_a_row, bypass), several, containers),
            st.builds(partial(forked, fork), two, gate, smaller, nest=st.booleans()),
        )

    return st.recursive(leaves, grow, max_leaves=8)


inputs = st.builds(
    lambda shape, seed: np.random.default_rng(seed).uniform(-1.5, 1.5, shape),
    st.sampled_from(SHAPES),
    st.integers(0, 1000),
)


def assert_close(came: Any, expected: Any) -> None:
    assert jax.tree.structure(came) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype == np.float64
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.max(np.abs(b), initial=1))


def check_net(net: Net, x: np.ndarray) -> None:
    """The value and all three ways to the gradient agree with autodiff of the definition."""
    with enable_x64(True):
        args = jax.tree.map(jnp.asarray, (x, *net.extra))
        y_bar = jnp.asarray(np.linspace(-1, 2, x.size).reshape(x.shape))
        y, pull = jax.vjp(net.op.define, *args)
        expected = pull(y_bar)
        called, pull_called = jax.vjp(net.op, *args)
        ran, res = net.op.fwd(*args)
        for came in (called, ran):
            assert_close(came, y)
        assert_close(pull_called(y_bar), expected)
        assert_close(net.op.bwd(res, y_bar), expected)


@given(nets(), inputs)
def test_random_nets_agree_with_autodiff(net: Net, x: np.ndarray) -> None:
    check_net(net, x)


@given(nets(), inputs)
@settings(max_examples=3)
def test_random_nets_work_under_jit_and_vmap(net: Net, x: np.ndarray) -> None:
    def pull(x: Any, extra: Any) -> Any:
        y, res = net.op.fwd(x, *extra)
        return net.op.bwd(res, jnp.ones_like(y))

    def grad(x: Any, extra: Any) -> Any:
        return jax.grad(lambda x, extra: jnp.sum(net.op.define(x, *extra)), (0, 1))(x, extra)

    with enable_x64(True):
        xs = jnp.stack([x, x / 2])
        extra = jax.tree.map(jnp.asarray, net.extra)
        x_bar, *extra_bar = jax.jit(jax.vmap(pull, (0, None)))(xs, extra)
        expected = jax.vmap(grad, (0, None))(xs, extra)
        assert_close((x_bar, tuple(extra_bar)), expected)


def forgetful_fanout(*ops: Op) -> Op:
    """A planted bug: the gradient of the last branch is not added."""
    whole, rest = fanout(*ops), fanout(*ops[:-1])

    def backward(res: Any, y_bar: Any) -> Any:
        saved, layout = res
        part = (saved[:-1], layout)
        _, params_bar = whole.backward(res, y_bar)
        return rest.backward(part, y_bar[:-1])[0], params_bar

    return Op(whole.forward, backward, definition=whole.definition, takes_tuple=True, name="f")


def forgetful_skip(*ops: Op) -> Op:
    """A planted bug: the straight branch has no gradient."""
    whole = skip(*ops)

    def backward(res: Any, y_bar: Any) -> Any:
        x_bar, params_bar = whole.backward(res, y_bar)
        return x_bar - y_bar, params_bar

    return Op(whole.forward, backward, definition=whole.definition, takes_tuple=True, name="s")


@pytest.mark.parametrize(
    "strategy", [nets(fork=forgetful_fanout), nets(bypass=forgetful_skip)], ids=["fanout", "skip"]
)
def test_a_forgotten_branch_is_caught(strategy: st.SearchStrategy[Net]) -> None:
    @given(strategy, inputs)
    @settings(derandomize=True, database=None, report_multiple_bugs=False, phases=GENERATE)
    def check(net: Net, x: np.ndarray) -> None:
        check_net(net, x)

    with pytest.raises(AssertionError):
        check()


GENERATE = (Phase.generate,)  # the smallest example is not wanted, so it need not be looked for


def grads(op: Op, *args: Any) -> Any:
    """The cotangents of all arguments for y_bar = 1, by `bwd`."""
    out, res = op.fwd(*args)
    y = out[0] if op.has_aux else out
    return op.bwd(res, jax.tree.map(jnp.ones_like, y))


def test_the_backward_pass_of_a_chain_is_that_of_its_ops_in_reverse() -> None:
    order: list[str] = []

    def spy(name: str) -> Op:
        def forward(x: Any) -> Any:
            order.append(f"{name}.fwd")
            return 2 * x, None

        def backward(res: Any, y_bar: Any) -> Any:
            order.append(f"{name}.bwd")
            return (2 * y_bar,)

        return Op(forward, backward, name=name)

    assert grads(chain(spy("a"), spy("b"), spy("c")), jnp.float32(1))[0] == 8
    assert order == ["a.fwd", "b.fwd", "c.fwd", "c.bwd", "b.bwd", "a.bwd"]


def test_a_carried_tuple_becomes_the_leading_arguments() -> None:
    f = chain(add, mul)
    assert grads(f, (-2.0, 5.0), ((), (-4.0,))) == ((-4.0, -4.0), ((), (3.0,)))
    assert jax.grad(f)((-2.0, 5.0), ((), (-4.0,))) == (-4.0, -4.0)


def test_a_tuple_of_one_stays_a_tuple() -> None:
    f = chain(fanout(square), tanh)
    slope = 1 / np.cosh(9.0) ** 2 * 6
    assert grads(f, jnp.float32(3))[0] == pytest.approx(slope)
    assert jax.grad(chain(branch.with_options(copies=1), square))(3.0) == 6.0
    assert grads(chain(square), (jnp.float32(3),))[0] == (6.0,)


def test_a_nested_chain_takes_a_carried_tuple_whole() -> None:
    f = chain(fanout(square, identity), chain(mul, neg))
    x_bar, params_bar = grads(f, jnp.float32(2))
    assert (x_bar, params_bar) == (-12.0, None)
    assert jax.grad(f)(2.0) == -12.0
    swapped = chain(fanout(square, identity), fanout(sub, add), mul)
    assert jax.grad(swapped)(3.0) == 4 * 27 - 2 * 3


def test_parallel_hands_on_tuples_too() -> None:
    f = parallel(mul, chain(mul, neg))
    assert grads(f, (2.0, 3.0), (5.0, 7.0)) == ((3.0, 2.0), (-7.0, -5.0))


class Pair(NamedTuple):
    first: Any
    second: Any


@pytest.mark.parametrize("outer", [tuple, list, lambda pair: Pair(*pair)])
@pytest.mark.parametrize("inner", [tuple, list])
@pytest.mark.parametrize("combine", [chain, fanout, parallel])
def test_cotangents_come_in_the_containers_of_the_arguments(combine, inner, outer) -> None:
    f = combine(mul, add)
    xs = (jnp.float32(2), jnp.float32(3)) if combine is parallel else (jnp.float32(2),)
    params = outer((inner((jnp.float32(5),)), inner((jnp.float32(7),))))
    bars = grads(f, *xs, params)
    assert jax.tree.structure(bars[-1]) == jax.tree.structure(params)
    total = jax.grad(lambda p: jax.tree.reduce(jnp.add, f(*xs, p)))(params)
    assert jax.tree.structure(total) == jax.tree.structure(params)
    assert jax.tree.leaves(total) == jax.tree.leaves(bars[-1])


def test_a_named_tuple_is_carried_and_comes_back() -> None:
    x_bar, _ = grads(chain(mul, neg), Pair(jnp.float32(2), jnp.float32(3)))
    assert x_bar == Pair(-3.0, -2.0)
    assert isinstance(x_bar, Pair)


def test_params_may_be_left_out_and_may_be_none() -> None:
    f = chain(affine, tanh)
    x, w = jnp.ones((2, 3)), jnp.ones((3, 4))
    assert chain(square, neg)(3.0) == chain(square, neg)(3.0, None) == -9.0
    assert grads(parallel(square, neg), 3.0, 4.0, None) == (6.0, -1.0, None)
    assert len(grads(parallel(square, neg), 3.0, 4.0)) == 2
    x_bar, ((w_bar, b_bar), ()) = grads(f, x, ((w, None), ()))
    assert (x_bar.shape, w_bar.shape, b_bar) == (x.shape, w.shape, None)
    assert jax.grad(lambda p: jnp.sum(f(x, p)))(((w, None), ()))[0][1] is None


def pick_definition(x: Float[Array, "n d"], labels: Array) -> Float[Array, "n"]:
    return jnp.take_along_axis(x, labels[:, None], 1)[:, 0]


def pick_fwd(x: Array, labels: Array) -> Any:
    return pick_definition(x, labels), (labels, jnp.zeros_like(x))


def pick_bwd(res: Any, y_bar: Array) -> Any:
    labels, zeros = res
    return zeros.at[jnp.arange(len(labels)), labels].set(y_bar), None


pick = Op(pick_fwd, pick_bwd, definition=pick_definition)


def test_integer_arguments_have_no_cotangent() -> None:
    x, labels = jnp.arange(6.0).reshape(2, 3), jnp.array([2, 0])
    f = chain(square, pick, sum)
    x_bar, params_bar = grads(f, x, ((), (labels,), ()))
    assert x_bar.tolist() == [[0, 0, 4], [6, 0, 0]]
    assert params_bar == ((), (None,), ())
    by_jax = jax.grad(f)(x, ((), (labels,), ()))
    assert by_jax.tolist() == x_bar.tolist()
    (both, none), _ = grads(fanout(pick, pick), (x, labels))
    assert (both.tolist(), none) == ([[0, 0, 2], [2, 0, 0]], None)


def centre_definition(x: Float[Array, "n"]) -> tuple[Float[Array, "n"], Float[Array, ""]]:
    return x - jnp.mean(x), jnp.mean(x)


def centre_fwd(x: Array) -> Any:
    return centre_definition(x), None


def centre_bwd(res: Any, y_bar: Array) -> Any:
    return (y_bar - jnp.mean(y_bar),)


centre = Op(centre_fwd, centre_bwd, definition=centre_definition, has_aux=True)
X = jnp.array([1.0, 2.0, 6.0])


@pytest.mark.parametrize(
    ("op", "args", "aux"),
    [
        (chain(square, centre, tanh), (X,), (None, 41 / 3, None)),
        (fanout(centre, square), (X,), (3.0, None)),
        (parallel(square, centre), (X, 2 * X), (None, 6.0)),
        (skip(centre, neg), (X,), (3.0, None)),
        (chain(skip(square, centre), fanout(centre, neg), add), (X,), ...),
    ],
    ids=lambda value: value.name if isinstance(value, Op) else "",
)
def test_aux_output_is_collected_and_not_differentiated(op: Op, args: Any, aux: Any) -> None:
    y, came = op(*args)
    assert op.has_aux
    if aux is not ...:
        assert jax.tree.structure(came) == jax.tree.structure(aux)
        np.testing.assert_allclose(jax.tree.leaves(came), jax.tree.leaves(aux), rtol=1e-6)
    (_, by_definition), pull = jax.vjp(op.define, *args)
    jax.tree.map(np.testing.assert_allclose, came, by_definition)
    expected = pull((jax.tree.map(jnp.ones_like, y), jax.tree.map(jnp.zeros_like, came)))
    _, pull_op = jax.vjp(op, *args)
    through_jax = pull_op((jax.tree.map(jnp.ones_like, y), jax.tree.map(jnp.ones_like, came)))
    for bar, also, want in zip(grads(op, *args), through_jax, expected, strict=False):
        np.testing.assert_allclose(bar, want, rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(also, want, rtol=2e-6, atol=1e-6)


def test_mixed_dtypes_come_back_in_the_dtype_of_each_argument() -> None:
    x = jnp.ones((2, 3), jnp.bfloat16)
    w = jnp.full((3, 3), 0.5, jnp.float32)
    for op in (skip(affine), chain(affine, tanh), fanout(affine, tanh)):
        params = ((w,),) if len(op.name.split(",")) == 1 else ((w,), ())
        x_bar, params_bar = grads(op, x, params)
        assert (x_bar.dtype, params_bar[0][0].dtype) == (jnp.bfloat16, jnp.float32)
    through_jax = jax.grad(lambda x: jnp.sum(skip(affine)(x, ((w,),))))(x)
    assert through_jax.dtype == jnp.bfloat16
    assert through_jax.tolist() == [[2.5] * 3] * 2


def test_residuals_pass_through_jit() -> None:
    f = chain(skip(affine, tanh), fanout(square, neg), parallel(tanh, sigmoid), mul)
    w = jnp.linspace(-1, 1, 9).reshape(3, 3)
    args = (X, ((((w,), ()),), (), (), ()))
    y, res = jax.jit(f.fwd)(*args)
    bars = jax.jit(f.bwd)(res, jnp.ones_like(y))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), bars, grads(f, *args))
    assert isinstance(res, Residuals)


def test_names() -> None:
    assert chain(affine, skip(tanh)).name == "chain(affine, skip(tanh))"
    assert fanout(square, neg, name="both").name == "both"
    assert repr(parallel(square, neg)) == "<Op parallel(square, neg)>"


X1 = jnp.ones(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (chain, ArgumentError, "chain: no ops, expected at least one"),
        (skip, ArgumentError, "skip: no ops, expected at least one"),
        (
            lambda: fanout(tanh, 3),
            ArgumentError,
            "fanout: op 1 is an int, expected a purebp Op",
        ),
        (
            lambda: chain(affine, tanh)(X1, ((X1,),)),
            ArgumentError,
            "chain(affine, tanh): params has 1 entries, expected 2, a tuple for each op",
        ),
        (
            lambda: fanout(mul)(X1, (X1,)),
            ArgumentError,
            "fanout(mul): the params of mul are an array of shape (3,), expected a tuple",
        ),
        (
            lambda: skip(mul)(X1, {"w": X1}),
            ArgumentError,
            "skip(mul): params is a dict, expected a tuple with a tuple for each op",
        ),
        (
            lambda: parallel(tanh, neg)(X1),
            ArgumentError,
            (
                "parallel(tanh, neg): 1 arguments, expected one for each of the 2 ops "
                "(and the tuple of their params)"
            ),
        ),
        (
            lambda: skip(sum)(X1),
            ShapeError,
            "skip(sum): the ops return shape (), expected (3,) like x",
        ),
        (
            lambda: skip(add).define((X1, X1)),
            ArgumentError,
            "skip(add): x or what the ops return is a tuple, expected one array",
        ),
        (
            lambda: skip(branch)(X1),
            ArgumentError,
            "skip(branch): x or what the ops return is a tuple, expected one array",
        ),
        (
            lambda: chain(mul)(X1),
            ArgumentError,
            "mul: missing a required argument: 'y'; the arguments are x, y",
        ),
        (
            lambda: chain(tanh)(X1, option=1),
            TypeError,
            "chain(tanh) has no option 'option' (its options: none)",
        ),
        (
            lambda: fanout(tanh, neg).bwd(fanout(tanh, neg).fwd(X1)[1], X1),
            ArgumentError,
            (
                "fanout(tanh, neg): y_bar has the structure PyTreeDef(*), "
                "expected PyTreeDef((*, *)) like the output"
            ),
        ),
    ],
)
def test_misuse_is_answered_in_one_line(call, error, message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == message
