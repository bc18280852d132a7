"""`torch.autograd.Function`: what it computes, and what PyTorch asks of it; with planted bugs."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import TargetError
from purebp.verification.cases import variants
from purebp.verification.checks import CHECKS, checks_of
from purebp.verification.probe import Probe
from purebp.verification.target import make_target
from purebp.verification.torch_pair import TorchPair, is_torch_function

torch = pytest.importorskip("torch")
Function = torch.autograd.Function
once_differentiable = torch.autograd.function.once_differentiable
RNG = np.random.default_rng(0)
X, W = (torch.tensor(RNG.standard_normal(shape)) for shape in ((3, 2), (2,)))


class Scaled(Function):
    """y = power x w^power, in the style with ctx in forward."""

    @staticmethod
    def forward(ctx, x, w, power):
        ctx.save_for_backward(x, w)
        ctx.power = power
        return power * x * w**power

    @staticmethod
    def backward(ctx, g) -> Any:
        x, w = ctx.saved_tensors
        p, x_bar, w_bar = ctx.power, None, None
        if ctx.needs_input_grad[0]:
            x_bar = p * g * w**p
        if ctx.needs_input_grad[1]:
            w_bar = p * p * (g * x * w ** (p - 1)).sum(0)
        return x_bar, w_bar, None


class SetUp(Function):
    """The same in the style with setup_context."""

    @staticmethod
    def forward(x, w, power):
        return power * x * w**power

    @staticmethod
    def setup_context(ctx, inputs, output):  # noqa: ARG004 - PyTorch's names
        ctx.save_for_backward(*inputs[:2])
        ctx.power = inputs[2]

    backward = Scaled.backward


class WrongPlace(Scaled):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        w_bar = None
        if ctx.needs_input_grad[0]:  # 1 is right
            w_bar = ctx.power * ctx.power * (g * x * w ** (ctx.power - 1)).sum(0)
        return ctx.power * g * w**ctx.power, w_bar, None


class TooFew(Scaled):
    @staticmethod
    def backward(ctx, g):
        return Scaled.backward(ctx, g)[:2]


class ForANumber(Scaled):
    @staticmethod
    def backward(ctx, g):
        return *Scaled.backward(ctx, g)[:2], g.sum()


class Overwriting(Scaled):
    @staticmethod
    def forward(ctx, x, w, power):
        y = Scaled.forward(ctx, x.clone(), w, power)
        x.mul_(2)
        return y


class OnesOnly(Scaled):
    @staticmethod
    def backward(ctx, g):
        return Scaled.backward(ctx, torch.as_strided(g, g.shape, (2, 1)).clone())


class InFloat64(Scaled):
    @staticmethod
    def backward(ctx, g):
        factor = 1 if g.dtype == torch.float64 else 2
        return tuple(None if bar is None else factor * bar for bar in Scaled.backward(ctx, g))


class Forgetful(Function):
    """x^3, by an intermediate result that the second derivative does not see."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x * x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (square,) = ctx.saved_tensors
        return 3 * square * g


class Remembering(Forgetful):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


class Once(Forgetful):
    backward = staticmethod(once_differentiable(Forgetful.backward))


class Two(Function):
    """(2 x, 3 x); an output that is not used has no gradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return 2 * x, 3 * x

    @staticmethod
    def backward(ctx, first, second) -> Any:  # noqa: ARG004 - PyTorch's names
        found = torch.zeros(())
        if first is not None:
            found = found + 2 * first
        return found + 3 * second if second is not None else found


class TwoAtOnce(Two):
    @staticmethod
    def backward(ctx, first, second):  # noqa: ARG004 - PyTorch's names
        return None if first is None or second is None else 2 * first + 3 * second


class Rows(Function):
    @staticmethod
    def forward(ctx, table, rows):
        ctx.save_for_backward(rows)
        ctx.count = len(table)
        return table.gather(0, rows[:, None].expand(-1, table.shape[1]))

    @staticmethod
    def backward(ctx, g):
        (rows,) = ctx.saved_tensors
        return torch.zeros(ctx.count, g.shape[1], dtype=g.dtype).index_add(0, rows, g), None


class Doubling(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, g):  # noqa: ARG004 - PyTorch's names
        return 2 * g


def message(function, *examples, check="buffers", reference=None):
    made = make_target(function, reference, examples=examples)
    probe = Probe(made, variants(made)[0], quick=True)
    try:
        outcome = CHECKS[check](probe, probe.first)
    except RuntimeError as error:
        return str(error)
    assert not outcome.inconclusive
    return "" if outcome.failure is None else (outcome.failure.message or "a number")


@pytest.mark.parametrize("function", [Scaled, SetUp])
def test_both_styles_are_read_and_right(function):
    made = make_target(function, examples=(X, W, 2))
    assert isinstance(made.numpy, TorchPair)
    assert [parameter.name for parameter in made.parameters] == ["x", "w"]
    assert (made.name, made.options["power"][0]) == (function.__name__, 2)
    assert {"buffers", "second order"} <= set(checks_of(made))
    for check in ("contract", "jacobian", "buffers", "second order"):
        assert message(function, X, W, 2, check=check) == "", check


def test_a_wrong_number_is_found():
    class Wrong(Scaled):
        @staticmethod
        def backward(ctx, g):
            x_bar, w_bar, _ = Scaled.backward(ctx, g)
            return x_bar, None if w_bar is None else 0.5 * w_bar, None

    assert message(Wrong, X, W, 2, check="jacobian")
    assert message(Wrong, X.numpy(), W.numpy(), 2, check="jacobian")


@pytest.mark.parametrize(
    ("function", "check", "text"),
    [
        (WrongPlace, "buffers", "another gradient of w where w alone needs one"),
        (TooFew, "contract", "incorrect number of gradients"),
        (ForANumber, "contract", "different than None"),
        (Overwriting, "buffers", "the argument x is overwritten"),
        (OnesOnly, "buffers", "not contiguous"),
        (InFloat64, "buffers", "in float32"),
    ],
)
def test_what_breaks_the_contract_is_named(function, check, text):
    assert text in message(function, X, W, 2, check=check)


def test_an_expanded_upstream_gradient_is_tried():
    class Strided(Function):
        @staticmethod
        def forward(ctx, x):  # noqa: ARG004 - PyTorch's names
            return 2 * x

        @staticmethod
        def backward(ctx, g):  # noqa: ARG004 - PyTorch's names
            return 2 * g if 0 not in g.stride() else 0 * g

    assert "expanded" in message(Strided, X)


@pytest.mark.parametrize(("function", "right"), [(Two, True), (TwoAtOnce, False)])
def test_outputs_that_are_not_used(function, right):
    found = message(function, X)
    assert found == "" if right else "output 0 alone" in found


@pytest.mark.parametrize(
    ("function", "right"), [(Remembering, True), (Once, True), (Forgetful, False)]
)
def test_the_second_derivative_is_right_or_refused(function, right):
    found = message(function, X, check="second order")
    assert found == "" if right else "differentiated twice it is wrong without an error" in found


def test_integers_keep_the_dtype_of_the_example():
    rows = torch.tensor([1, 1, 0])
    for check in ("contract", "jacobian", "buffers"):
        assert message(Rows, X, rows, check=check) == ""


def test_what_is_marked_as_overwritten_may_be():
    assert message(Doubling, X, check="contract") == ""
    assert message(Doubling, X, check="jacobian") == ""


def by_torch(x, w, power):
    return torch.mul(power * x, w.pow(power))


def by_jax(x, w, power):
    return jnp.multiply(power * x, jnp.power(w, power))


def by_numpy(x, w, power):
    return np.multiply(power * np.asarray(x, np.float64), np.power(np.asarray(w), power))


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        (by_torch, "torch.autograd of the given reference"),
        (by_jax, "the given reference"),
        (by_numpy, "finite differences of the given reference"),
    ],
)
def test_a_reference_may_be_of_any_kind(reference, name):
    made = make_target(Scaled, reference, examples=(X, W, 2))
    assert made.reference_name == name
    assert message(Scaled, X, W, 2, check="jacobian", reference=reference) == ""

    def other(x, w, power):
        return reference(x, 1.01 * w, power)

    assert message(Scaled, X, W, 2, check="jacobian", reference=other)


def test_what_cannot_be_used_is_refused():
    with pytest.raises(TargetError, match="Scaled: give example arguments"):
        make_target(Scaled)
    with pytest.raises(TargetError, match=r"expected 3 \(x, w, power\)"):
        make_target(Scaled, examples=(X, W, 2, 3))
    with pytest.raises(TargetError, match="the reference runs neither on tensors"):
        make_target(Scaled, lambda: 0, examples=(X, W, 2))
    assert not is_torch_function(Scaled.apply)
    assert not is_torch_function(int)
