"""purebp.grad costs no more than jax.grad: a sample at a small size; the whole is `make costs`."""

import jax.numpy as jnp
import pytest

import purebp
from purebp.errors import VerificationError
from reference.costs.__main__ import BOUNDS, main
from reference.costs.measure import measure
from reference.costs.programs import PROGRAMS, SMALL

SAMPLE = ("transformer, scanned", "LSTM (flax)", "GRU (flax)", "hierarchical model (numpyro)")


@pytest.mark.parametrize("name", SAMPLE)
def test_flops_and_temporary_memory_are_within_their_bounds(name):
    found = measure(name, *PROGRAMS[name](SMALL), pairs=0, compiles=0)
    assert {"flops", "temporary"} == set(found.hand) == set(found.other)
    for figure in found.hand:
        assert (found.ratios[figure] or 0) <= BOUNDS[figure], found


def test_a_gradient_that_differs_is_not_weighed(monkeypatch):
    right = purebp.value_and_grad
    monkeypatch.setattr(purebp, "value_and_grad", lambda f: right(lambda x: 1.01 * f(x)))
    with pytest.raises(VerificationError, match="differs by"):
        measure("squares", lambda x: jnp.sum(x**2), (jnp.ones(3),), pairs=0, compiles=0)


def test_the_table_is_printed_and_written(capsys, tmp_path):
    file = tmp_path / "costs.json"
    few = ["ctc", "--small", "--pairs", "2", "--compiles", "1", "--json", str(file)]
    assert main(few) == 0
    printed = capsys.readouterr().out
    assert "purebp.grad / jax.grad" in printed
    assert "geometric mean of 1" in printed
    assert "CTC" in file.read_text()
