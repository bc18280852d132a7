"""The script that shows a failure again: it runs as it stands, and fails the same way."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import purebp
from purebp import gates
from purebp.compat import enable_x64
from purebp.load import import_file
from purebp.verification.budget import BUDGETS
from purebp.verification.cases import variants
from purebp.verification.checks import CHECKS
from purebp.verification.comparison import failed
from purebp.verification.probe import Probe
from purebp.verification.reproduce import script
from purebp.verification.target import make_target

LAYERS = """
import jax
import jax.numpy as jnp

def scaled_fwd(x, w, *, factor=2.0):
    return factor * x * w["scale"], (x, w)

def scaled_bwd(residuals, y_bar, *, factor):
    x, w = residuals
    return factor * w["scale"] * y_bar, {"scale": -factor * jnp.sum(x * y_bar)}

@jax.custom_vjp
def cube(x):
    return x**3

cube.defvjp(lambda x: (x**3, x), lambda x, y_bar: (x**2 * y_bar,))

def affine_forward(x, w, labels):
    return x @ w, (x, w)

def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, 2 * x.T @ dout

def noisy_fwd(x, key):
    noise = jax.random.normal(key, x.shape)
    return x * noise, noise

def noisy_bwd(noise, y_bar):
    return -noise * y_bar, None

def named_fwd(x, *, mode="sum", scale=2.0):
    return scale * x, ()

def named_bwd(residuals, y_bar, *, scale):
    return (-scale * y_bar,)

def wide_fwd(x, w):
    return x * w, (x, w)

def wide_bwd(residuals, y_bar):
    x, w = residuals
    return y_bar * w, y_bar * x
"""
X = jnp.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]])


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    path = tmp_path_factory.mktemp("layers") / "my_layers.py"
    path.write_text(LAYERS)
    return import_file(path)


def failing(target, *args, check="jacobian"):
    """The script of a check on the example itself."""
    made = make_target(target, examples=args)
    probe = Probe(made, variants(made, BUDGETS["quick"])[0])
    failure = CHECKS[check](probe, probe.first).failure
    return script(probe, probe.first, failure, "headline")


def run(text, folder):
    path = folder / "again.py"
    path.write_text(text)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


W = {"scale": jnp.float32(0.7)}
CASES = {
    "pair": (lambda m: (m.scaled_fwd, m.scaled_bwd), (X, W), "w['scale']_bar"),
    "rule": (lambda m: m.cube, (X,), "x_bar["),
    "numpy": (
        lambda m: (m.affine_forward, m.affine_backward),
        (X, X.T, jnp.array([0, 1])),
        "w_bar[",
    ),
    "key": (lambda m: (m.noisy_fwd, m.noisy_bwd), (X, jax.random.key(3)), "x_bar["),
}


@pytest.mark.parametrize("name", CASES)
def test_the_script_shows_the_wrong_number(name, layers, tmp_path):
    make, args, place = CASES[name]
    status, printed, errors = run(failing(make(layers), *args), tmp_path)
    assert status == 1
    assert "AssertionError" in errors
    assert printed.startswith(place)
    assert ": got " in printed


def test_the_script_is_silent_once_the_layer_is_mended(layers, tmp_path):
    text = failing((layers.scaled_fwd, layers.scaled_bwd), X, W)
    folder = str(Path(layers.__file__).parent)
    assert folder in text
    (tmp_path / "my_layers.py").write_text(LAYERS.replace("-factor", "factor"))
    status, _, errors = run(text.replace(folder, str(tmp_path)), tmp_path)
    assert status == 0, errors


def test_a_failure_without_a_number_is_verified_again(layers):
    made = make_target((layers.wide_fwd, layers.wide_bwd), examples=(X, X[0]))
    probe = Probe(made, variants(made, BUDGETS["quick"])[0])
    failure = failed("contract", probe.first, "the cotangent of w has another shape").failure
    text = script(probe, probe.first, failure, "headline")
    assert "from my_layers import wide_bwd, wide_fwd" in text
    assert 'purebp.verify((wide_fwd, wide_bwd), x, w, budget="quick").raise_if_failed()' in text
    compile(text, "again.py", "exec")


def test_what_cannot_be_imported_is_named():
    def flipped_fwd(x):
        return 2 * x, ()

    def flipped_bwd(residuals, y_bar):
        return (-2 * y_bar,)

    text = failing((flipped_fwd, flipped_bwd), X)
    assert "# flipped_fwd has to be defined here: no file has it at its top level" in text
    names = {"flipped_fwd": flipped_fwd, "flipped_bwd": flipped_bwd}
    with enable_x64(True), pytest.raises(AssertionError):
        exec(text.replace('jax.config.update("jax_enable_x64", True)', ""), names)


def test_many_numbers_are_not_written_out(layers):
    text = failing(layers.cube, jnp.ones((2, 1500)), check="gradient float64")
    assert text == "# no script: the inputs have 6000 numbers\n"


def test_the_report_has_the_script_the_line_and_the_options_that_were_not_tried(layers):
    report = purebp.verify((layers.named_fwd, layers.named_bwd), X, budget="quick")
    line = 1 + LAYERS.splitlines().index("def named_bwd(residuals, y_bar, *, scale):")
    assert report.source == f"named_bwd (my_layers.py:{line})"
    assert report.unexplored == ("mode",)
    assert "from my_layers import named_bwd, named_fwd" in report.reproduction
    text = str(report)
    assert f"backward pass: {report.source}" in text
    assert "only the default was tried of: mode" in text
    assert "to see it again:" in text


def test_a_right_layer_has_no_script():
    report = purebp.verify(gates.square, max_examples=1)
    assert report.reproduction == ""
    assert "to see it again" not in str(report)
