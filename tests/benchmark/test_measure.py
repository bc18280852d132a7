"""The measurements themselves: intervals, pairs, residual bytes, and what is refused."""

import dataclasses
import time
from functools import partial
from itertools import groupby

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.activations import gelu, relu
from purebp.benchmark.case import Case, normal
from purebp.benchmark.cases import CASES, find_cases
from purebp.benchmark.measure import Costs, Ratio, Row, interleave, measure, median_interval
from purebp.benchmark.programs import by_autodiff, by_hand, residual_bytes
from purebp.catalog import FAMILIES
from purebp.errors import UnknownOpError, VerificationError

WITHOUT_ROW = {
    "flatten": "a reshape: there is nothing to compute",
    **dict.fromkeys(("trace", "diag", "diagonal", "tril", "triu"), "one mask: nothing to fuse"),
    "linear_classifier": "affine with a loss, both of which have rows",
    "two_layer_net_with_svm": "as with softmax_cross_entropy; svm has a row",
    "lenet5": "layers of conv_net in another order",
    "resnet": "its convolutions and norms have rows",
}
TINY = (normal(8, 8),)


def covered(name: str) -> bool:
    return any(case.op.name.startswith(name) for case in CASES)


@pytest.mark.parametrize("family", ["activations", "linalg", "layers", "losses", "models"])
def test_every_op_that_is_more_than_a_gate_has_a_row(family: str) -> None:
    names = {op.name for op in FAMILIES[family]}
    assert {name for name in names if not covered(name)} <= set(WITHOUT_ROW)


def test_no_two_rows_have_one_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_residuals_are_never_larger_than_those_of_autodiff(case: Case) -> None:
    args = jax.eval_shape(partial(case.inputs, "small"))
    hand, autodiff = residual_bytes(by_hand(case), args), residual_bytes(by_autodiff(case), args)
    assert hand <= autodiff or case.more_memory


def test_residuals_are_counted_once() -> None:
    case = Case(gelu, lambda x: jnp.sin(x) * jnp.sin(x), "", TINY, TINY)
    args = (jnp.ones((8, 8)),)
    assert residual_bytes(by_hand(case), args) == 8 * 8 * 4
    assert residual_bytes(by_autodiff(case), args) >= 2 * 8 * 8 * 4  # sin x and cos x


def test_the_interval_holds_the_median_in_95_of_100_cases() -> None:
    assert median_interval(range(30)) == (9, 20)
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        low, high = median_interval(list(rng.exponential(size=30)))
        inside += low <= np.log(2) <= high
    assert 0.94 <= inside / 400 <= 1


def test_each_round_times_every_program() -> None:
    calls = {"slow": 0, "fast": 0}

    def run(name: str, seconds: float) -> None:
        calls[name] += 1
        time.sleep(seconds)

    times = interleave({"slow": lambda: run("slow", 4e-3), "fast": lambda: run("fast", 2e-3)}, 5)
    assert {name: len(each) for name, each in times.items()} == {"slow": 5, "fast": 5}
    assert min(times["slow"]) >= 4e-3
    assert min(times["fast"]) >= 2e-3
    assert calls["slow"] == calls["fast"]


def test_each_figure_comes_after_a_call_of_the_same_program() -> None:
    ran: list[str] = []

    def run(name: str) -> None:
        ran.append(name)
        time.sleep(2e-3)

    interleave({"a": lambda: run("a"), "b": lambda: run("b")}, 5)
    assert all(len(list(turn)) >= 2 for _, turn in groupby(ran))


def test_a_baseline_that_computes_something_else_is_refused() -> None:
    with pytest.raises(VerificationError, match="computes something else"):
        measure(Case(relu, jnp.tanh, "jnp.tanh", TINY, TINY), "small", pairs=0)

    with pytest.raises(VerificationError, match="other shapes"):
        measure(Case(relu, jnp.sum, "jnp.sum", TINY, TINY), "small", pairs=0)


def test_the_figures_without_the_clock_are_the_same_twice() -> None:
    (case, _) = find_cases(["gelu"])
    rows = [measure(case, "small", pairs=0) for _ in range(2)]
    assert rows[0].time is None
    flops = [(row.hand.flops, row.hand.accessed, row.hand.temporary) for row in rows]
    assert flops[0] == flops[1]


ROW = Row(
    "relu",
    "relu",
    "large",
    "",
    "",
    single=False,
    more_memory="",
    hand=Costs(2, 2, 0, 0, 1),
    autodiff=Costs(1, 1, 0, 0, 1),
    time=Ratio(1.2, 1.1, 1.3, 30, 1e-2, 1e-2),
    apart=None,
    torch=None,
)


@pytest.mark.parametrize(
    ("change", "slower"),
    [
        ({}, True),
        ({"time": Ratio(1.2, 1.04, 1.3, 30, 1e-2, 1e-2)}, False),
        ({"time": Ratio(1.2, 1.1, 1.3, 30, 1e-4, 1e-4)}, True),
        ({"time": Ratio(1.2, 1.1, 1.3, 30, 1e-4, 1e-4), "hand": Costs(1, 1, 0, 0, 1)}, False),
        ({"time": Ratio(1.2, 1.1, 1.3, 30, 1e-4, 1e-4), "hand": Costs(1, 1, 0, 0, 1, True)}, True),
        ({"time": None}, False),
    ],
)
def test_slower_is_by_the_clock_or_below_a_millisecond_by_flops_and_bytes(change, slower) -> None:
    assert dataclasses.replace(ROW, **change).slower is slower


def test_a_loop_is_seen() -> None:
    looped = Case(relu, lambda x: jax.lax.map(jax.nn.relu, x), "lax.map", TINY, TINY)
    row = measure(looped, "small", pairs=0)
    assert row.autodiff.loops
    assert not row.hand.loops


def test_more_memory_needs_a_reason() -> None:
    more = dataclasses.replace(ROW, hand=Costs(1, 1, 8, 0, 1))
    assert more.fatter
    assert not dataclasses.replace(more, more_memory="twice as fast").fatter
    assert dataclasses.replace(ROW, hand=Costs(1, 1, 0, 8, 1)).fatter


def test_an_op_without_a_row_is_refused() -> None:
    with pytest.raises(UnknownOpError, match="no row for flatten"):
        find_cases(["flatten"])
    with pytest.raises(UnknownOpError, match="unknown op"):
        find_cases(["no_such_op"])
