"""The bar of one target: on a terminal alone, and told of everything that is tried."""

import jax.numpy as jnp
import pytest

import purebp
from purebp.gates import square
from purebp.verification.budget import budget_named
from purebp.verification.progress import nobody, watching
from purebp.verification.run import verify_target
from purebp.verification.target import make_target


def test_nothing_is_shown_where_nobody_looks(capsys):
    with watching("square", shown=True) as tell:
        assert tell is nobody
    purebp.verify(square, budget="quick", max_examples=0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shown", [True, False])
def test_a_terminal_has_a_bar_unless_it_is_not_wanted(shown, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    purebp.verify(square, budget="quick", max_examples=0, progress=shown)
    out, err = capsys.readouterr()
    assert ("verifying square: options and shapes" in err) == shown
    assert not out


def test_everything_that_is_tried_is_told():
    told = list[tuple[int, int, str]]()
    wrong = (lambda x: (x * x, x), lambda x, g: (3 * x * g,))
    made = make_target(wrong, examples=(jnp.asarray([1.0, -2.0]),))
    report = verify_target(made, budget_named("quick"), 0, tell=lambda *what: told.append(what))
    assert report.verdict == "fail"
    assert told[0][0] == 0
    assert {what for _, _, what in told} == {
        "options and shapes",
        "looking for what is wrong",
        "looking for a smaller example",
    }
