"""Functions and modules that contain hand-written rules."""

from functools import partial

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import purebp
from purebp.errors import TargetError
from purebp.load import import_file
from purebp.verification.cases import Case, make_args, variants
from purebp.verification.checks import CHECKS, out_of_range
from purebp.verification.layout import layout_of
from purebp.verification.probe import Probe
from purebp.verification.reproduce import script
from purebp.verification.target import make_target

RNG = np.random.default_rng(0)
X, W = (RNG.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (3, 2)))
LABELS = np.asarray([0, 1, 1, 0])


def act_of(factor):
    """tanh with a rule whose slope is off by a factor."""

    @jax.custom_vjp
    def act(x):
        return jnp.tanh(x)

    def act_fwd(x):
        return jnp.tanh(x), jnp.tanh(x)

    def act_bwd(y, g):
        return (factor * (1 - y**2) * g,)

    act.defvjp(act_fwd, act_bwd)
    return act


right, wrong = act_of(1.0), act_of(2.0)


def loss(params, x, labels, act=right, *, scale=1.0):
    scores = jax.jit(act)(x @ params["w"]) + params["b"]
    return scale * -jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], 1).mean()


PARAMS = {"w": W, "b": np.zeros(2, np.float32)}


def jacobian_of(target, *examples, checks=("contract", "jacobian")):
    made = make_target(target, examples=examples)
    probe = Probe(made, variants(made)[0], quick=True)
    for check in checks:
        outcome = CHECKS[check](probe, probe.first)
        assert not outcome.inconclusive
        if outcome.failure is not None:
            return outcome.failure
    return None


def test_a_loss_is_held_against_itself_with_its_rules_opened():
    assert jacobian_of(loss, PARAMS, X, LABELS) is None
    failure = jacobian_of(partial(loss, act=wrong), PARAMS, X, LABELS)
    assert failure is not None
    assert failure.argument in {"params['w']", "x"}
    made = make_target(loss, examples=(PARAMS, X, LABELS))
    assert (made.name, made.reference_name) == ("loss", "the function with its rules opened")
    assert [str(rule)[:4] for rule in made.rules] == ["act "]
    assert made.options["scale"][0] == 1.0


def test_verify_passes_and_fails_and_names_the_rule():
    def function(x):
        return right(x) * x.sum()

    report = purebp.verify(function, X[0], budget="quick", max_examples=1)
    assert report.verdict == "pass", str(report)
    report = purebp.verify(lambda x: wrong(2 * x), X[0], budget="quick", max_examples=1)
    assert report.verdict == "fail"
    first = str(report).splitlines()[0]
    assert "the rule of act (test_function.py:" in first
    assert "x_bar is 2 times too large" in first


@pytest.mark.parametrize("jit", [False, True])
def test_a_function_without_a_rule_is_refused(jit):
    function = jax.jit(jnp.sin) if jit else (lambda x: jnp.sin(x) ** 2)
    with pytest.raises(TargetError, match=r"contains no hand-written rule .* autodiff all the way"):
        make_target(function, examples=(X,))
    assert make_target(function, reference=jnp.cos, examples=(X,)).rules == ()


def test_a_function_without_examples_or_that_does_not_run_is_refused():
    with pytest.raises(TargetError, match=r"loss: .* give example arguments"):
        make_target(loss)
    with pytest.raises(TargetError, match=r"loss: its function does not run: .*"):
        make_target(loss, examples=(PARAMS, X.T, LABELS))


def test_flags_names_and_whole_numbers_are_settings_and_are_varied():
    def function(x, n, flip, mode, *, power: int = 2):
        y = right(x).reshape(n, -1).sum(0) ** power
        return -y if flip else (y if mode == "plain" else 2 * y)

    made = make_target(function, examples=(X, 4, True, "plain"))
    assert [parameter.name for parameter in made.parameters] == ["x"]
    assert (made.options["n"][0], made.options["flip"]) == (4, (True, False))
    assert made.options["mode"] == ("plain",)
    assert jacobian_of(function, X, 4, True, "plain", checks=("contract",)) is None


def test_a_whole_number_that_may_be_an_array_is_an_array():
    def function(x, n):
        return right(x) * n

    made = make_target(function, examples=(X, 4))
    assert [parameter.name for parameter in made.parameters] == ["x", "n"]


def test_keys_several_outputs_and_arguments_left_out():
    def noisy(x, key, scale=1.0, *more):
        return right(x + jax.random.normal(key, x.shape)) * scale, {"n": x.shape[0]}

    assert jacobian_of(noisy, X, jax.random.key(0), checks=("contract", "jacobian")) is None


class Linen(nn.Module):
    act: object

    @nn.compact
    def __call__(self, x, *, double: bool = False):
        return self.act(nn.Dense(2)(x)) * (2 if double else 1)


def linen(act):
    module = Linen(act)
    return module, module.init(jax.random.key(0), X)


class Nnx(nnx.Module):
    def __init__(self, act):
        self.linear = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
        self.act = act
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        self.calls[...] += 1
        return self.act(self.linear(x))


class Equinox(eqx.Module):
    linear: eqx.nn.Linear
    act: object

    def __call__(self, x):
        return jax.vmap(lambda row: self.act(self.linear(row)))(x)


def equinox(act):
    return Equinox(eqx.nn.Linear(3, 2, key=jax.random.key(0)), act)


MODULES = {
    "linen": lambda act: (linen(act)[0], linen(act)[1], X),
    "linen apply": lambda act: (linen(act)[0].apply, linen(act)[1], X),
    "nnx": lambda act: (Nnx(act), X),
    "nnx argument": lambda act: (lambda m, x: m(x).sum(), Nnx(act), X),
    "equinox": lambda act: (equinox(act), X),
    "equinox argument": lambda act: (lambda m, x: m(x).sum(), equinox(act), X),
}


@pytest.mark.parametrize("kind", MODULES)
def test_a_module_is_verified_with_its_parameters(kind):
    assert jacobian_of(*MODULES[kind](right), checks=("contract",)) is None
    made = make_target(MODULES[kind](right)[0], examples=MODULES[kind](right)[1:])
    args = make_args(made, Case(variants(made)[0], "normal", "normal", 0))
    names = layout_of(made, args).names
    assert sum("kernel" in name or "weight" in name for name in names) == 1
    assert "x" in names


@pytest.mark.parametrize("kind", ["linen", "nnx", "equinox"])
def test_a_wrong_rule_in_a_module_is_caught(kind):
    failure = jacobian_of(*MODULES[kind](wrong))
    assert failure is not None
    assert failure.check == "jacobian"


def test_the_options_of_a_linen_module_are_those_of_its_call():
    module, variables = linen(right)
    made = make_target(module, examples=(variables, X))
    assert (made.name, dict(made.options)) == ("Linen", {"double": (False, True)})


def test_a_rule_that_raises_is_named():
    @jax.custom_vjp
    def broken(x):
        return 2 * x

    def broken_bwd(res, g):
        raise ValueError("boom")

    broken.defvjp(lambda x: (2 * x, None), broken_bwd)
    report = purebp.verify(lambda x: broken(right(x)), X[0], budget="quick")
    assert "the rule of broken (test_function.py:" in str(report)
    assert "does not run: ValueError: boom" in str(report)


def outcome_of(function, check, *examples, seed=0):
    made = make_target(function, examples=examples)
    probe = Probe(made, variants(made)[0], quick=True)
    case = probe.first._replace(seed=seed)
    return out_of_range(check, probe, case) or CHECKS[check](probe, case)


def normalised(x, *, factor=1.0):
    return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * factor


def test_a_gradient_that_is_0_but_for_rounding_decides_nothing():
    def constant(x, factor):
        return normalised(x).sum() * act_of(1.0)(factor)

    for check in ("jacobian", "vmap"):
        outcome = outcome_of(lambda x: constant(x, 0.5), check, X)
        assert outcome.failure is None
        assert "0 but for rounding" in outcome.inconclusive


def test_a_bias_before_a_norm_has_the_rounding_of_the_others():
    def function(x, w, bias, act):
        return (normalised((x @ w + bias).T) * act(x @ w).T).sum(0)

    args = (X, W, np.ones(2, np.float32))
    assert outcome_of(partial(function, act=right), "gradient float64", *args).failure is None
    assert outcome_of(partial(function, act=wrong), "jacobian", *args).failure is not None


def test_noise_that_is_drawn_is_no_failure_and_hides_none():
    def noisy(x, key, act):
        return normalised(act(x * jax.random.bernoulli(key, 0.7, x.shape)))

    args = (X, jax.random.key(1))
    assert outcome_of(partial(noisy, act=right), "jacobian", *args).failure is None
    assert outcome_of(partial(noisy, act=act_of(1.001)), "jacobian", *args).failure is not None


FILE = """
import jax
import jax.numpy as jnp

@jax.custom_jvp
def act(x):
    return jnp.tanh(x)

act.defjvp(lambda x, dx: (jnp.tanh(*x), 2 * dx[0]))

def layer(x, flip, w):
    return act(x) * w if flip else act(w)
"""


def test_the_script_of_a_failure_calls_the_function(tmp_path):
    path = tmp_path / "layers_with_a_rule.py"
    path.write_text(FILE)
    layer = import_file(path).layer
    made = make_target(layer, examples=(X[0], True, X[1]))
    probe = Probe(made, variants(made)[0], quick=True)
    failure = CHECKS["jacobian"](probe, probe.first).failure
    assert failure is not None
    text = script(probe, probe.first, failure, "act is wrong")
    assert "from layers_with_a_rule import layer" in text
    assert "    return layer(x=x, w=w, flip=True)" in text
    compile(text, "script", "exec")
