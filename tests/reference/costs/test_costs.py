"""purebp.grad costs no more than jax.grad: a sample at a small size; the whole is `make costs`."""

import jax
import jax.numpy as jnp
import pytest

import purebp
from purebp.errors import VerificationError
from reference.costs.__main__ import BOUNDS, main
from reference.costs.measure import measure
from reference.costs.programs import FEW, PROGRAMS, SMALL

SAMPLE = ("transformer, scanned", "LSTM (flax)", "GRU (flax)", "hierarchical model (numpyro)")


@pytest.mark.parametrize("name", SAMPLE)
def test_flops_and_temporary_memory_are_within_their_bounds(name):
    make = PROGRAMS[name]
    found = measure(name, make(SMALL), make(SMALL._replace(length=FEW)), pairs=0, compiles=0)
    assert {"flops", "temporary"} == set(found.hand) == set(found.other)
    for figure in found.hand:
        assert (found.ratios[figure] or 0) <= BOUNDS[figure], found


def test_a_gradient_that_differs_is_not_weighed(monkeypatch):
    right = purebp.value_and_grad
    monkeypatch.setattr(
        purebp, "value_and_grad", lambda f, rules: right(lambda x: 1.01 * f(x), rules=rules)
    )
    with pytest.raises(VerificationError, match="differs by"):
        measure("squares", (squares := (lambda x: jnp.sum(x**2), (jnp.ones(3),))), squares, 0, 0)


def test_the_turns_of_a_loop_count():
    """Twice the steps are twice the products, though XLA counts the body of the loop once."""
    w, x = jnp.ones((8, 8)), jnp.ones((12, 2, 8))

    def loss(w, x):
        return jnp.sum(jax.lax.scan(lambda h, each: (jnp.tanh((h + each) @ w), None), x[0], x)[0])

    few, many = (
        measure("loop", (loss, (w, x)), (loss, (w, x[:n])), 0, 0).other["flops"] for n in (4, 8)
    )
    assert 1.8 < many / few < 2.2


def test_the_table_is_printed_and_written(capsys, tmp_path):
    file = tmp_path / "costs.json"
    few = ["ctc", "--small", "--pairs", "2", "--compiles", "1", "--json", str(file)]
    assert main(few) == 0
    printed = capsys.readouterr().out
    assert "purebp.grad / jax.grad" in printed
    assert "geometric mean of 1" in printed
    assert "CTC" in file.read_text()
