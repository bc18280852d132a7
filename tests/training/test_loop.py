"""The training loop: its gradients, its mini-batches, what it records, and what it refuses."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from purebp.errors import ArgumentError, DivergenceError, OptionError, PurebpError, ShapeError
from purebp.losses import l2, softmax_cross_entropy
from purebp.models import conv_net, linear_classifier, n_layer_net, two_layer_net, with_loss
from purebp.training import Data, gradient, loop, mini_batches, train
from tests.models.plain import NETS, arguments, cross_entropy, worst_difference

KEY = jax.random.key(3)


def small_data(examples=22, seed=0):
    """Two clouds of points in the plane, easy to tell apart."""
    rng = np.random.default_rng(seed)
    y = np.arange(examples, dtype=np.int32) % 2
    x = rng.normal(size=(examples, 2)).astype(np.float32) + 3 * y[:, None]
    return Data(x, y, x[:5], y[:5])


def run(model=None, data=None, **settings):
    settings = {"optimizer": optax.sgd(0.1), "key": KEY, "batch": 4, "epochs": 3} | settings
    model = model or two_layer_net(2, 5, 2)
    return train(model, softmax_cross_entropy, data or small_data(), **settings)


@cache
def learned(batch=4):
    """A run that several tests look at, with all that `on_epoch` was told."""
    seen = []
    return run(batch=batch, epochs=20, on_epoch=seen.append), seen


@pytest.mark.parametrize("name", [name for name in NETS if name != "lenet_1998"])
def test_the_gradient_of_a_step_equals_jax_grad(name):
    model, plain = NETS[name]
    params, x, labels, state, key = arguments(model, seed=1)
    loss_op = with_loss(model, softmax_cross_entropy, regularizer=l2.with_options(strength=0.1))

    def loss(params):
        weights = (each["w"] for each in params.values() if "w" in each)
        data = cross_entropy(plain(params, x, state, key, True), labels)
        return data + 0.05 * sum(jnp.sum(w**2) for w in weights)

    came, params_bar, _ = jax.jit(gradient, static_argnums=0)(
        loss_op, params, x, labels, state, key
    )
    wanted, wanted_bar = jax.value_and_grad(loss)(params)
    assert abs(came - wanted) < 1e-5 * abs(wanted)
    assert worst_difference(params_bar, wanted_bar) < 1e-5


def used_examples(monkeypatch, draw, batch, epochs=2, examples=22):
    """The examples that each epoch uses, in order: x holds their numbers."""
    monkeypatch.setattr(loop, "mini_batches", draw)
    seen = []

    def watch(key, x):
        jax.debug.callback(lambda rows: seen.append(np.asarray(rows)), x[:, 0], ordered=True)
        return x

    x = np.arange(examples, dtype=np.float32)[:, None] / examples
    y = np.zeros(examples, np.int32)
    run(linear_classifier(1, 2), Data(x, y, x, y), batch=batch, epochs=epochs, augment=watch)
    jax.effects_barrier()
    order = np.rint(np.concatenate(seen) * examples).astype(int)
    assert max(map(len, seen)) == (examples if batch == "full" else batch)
    return order.reshape(epochs, examples)


def with_replacement(key, examples, size):
    """A planted bug: examples are drawn anew for each mini-batch."""
    rows, rest = mini_batches(key, examples, size)
    return jax.random.randint(key, rows.shape, 0, examples), rest


@pytest.mark.parametrize("batch", [1, 4, 11, 22, "full"])
def test_an_epoch_uses_every_example_once(monkeypatch, batch):
    order = used_examples(monkeypatch, mini_batches, batch)
    for epoch in order:
        assert sorted(epoch) == list(range(22))
    assert list(order[0]) != list(order[1])


def test_drawing_with_replacement_would_be_noticed(monkeypatch):
    first, *_ = used_examples(monkeypatch, with_replacement, 4)
    assert sorted(first) != list(range(22))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10])
def test_mini_batches_are_a_permutation(size):
    rows, rest = mini_batches(KEY, 10, size)
    assert rows.shape == (10 // size, size)
    assert sorted([*np.ravel(rows), *np.ravel(rest)]) == list(range(10))


def test_an_update_is_compiled_once_for_each_size():
    traces = []

    def count(key, x):
        traces.append(x.shape)
        return x

    run(epochs=5, augment=count)
    assert traces == [(4, 2), (2, 2)]


def test_full_batch_is_gradient_descent():
    data = small_data()
    model = two_layer_net(2, 5, 2)
    trained, _ = learned("full")
    step = jax.jit(partial(gradient, with_loss(model, softmax_cross_entropy)))
    params = model.init(jax.random.split(KEY)[0])
    for epoch in range(20):
        loss, bars, _ = step(params, data.x_train, data.y_train)
        assert trained.history[epoch].loss == pytest.approx(float(loss), rel=1e-5)
        params = jax.tree.map(lambda w, bar: w - 0.1 * bar, params, bars)
    assert worst_difference(trained.params, params) < 1e-5


def test_the_loss_falls_and_the_points_are_told_apart():
    trained, _ = learned()
    losses = [epoch.loss for epoch in trained.history]
    assert losses[-1] < 0.3 * losses[0]
    assert trained.history[-1].train_accuracy >= 0.9


def test_mini_batches_learn_faster_than_gradient_descent_epoch_by_epoch():
    by_batches, full = (learned(batch)[0].history for batch in (4, "full"))
    assert by_batches[9].loss < 0.7 * full[9].loss


def test_the_same_key_gives_the_same_run_and_another_one_does_not():
    one, _ = learned()
    same, other = (run(epochs=20, key=jax.random.key(seed)) for seed in (3, 4))
    assert worst_difference(same.params, one.params) == 0
    assert worst_difference(other.params, one.params) > 0.01


@pytest.mark.parametrize(
    "model",
    [
        n_layer_net(2, (6, 5), 2, norm="batch", dropout=0.2),
        n_layer_net(2, (6,), 2, norm="layer", activation="tanh"),
    ],
    ids=["batch norm and dropout", "layer norm"],
)
def test_norm_and_dropout_train(model):
    trained = run(model, batch=11, epochs=30)
    assert trained.history[-1].loss < 0.8 * trained.history[0].loss
    assert trained.history[-1].test_accuracy >= 0.8
    if model.init_state():
        assert not np.allclose(trained.state["norm1"]["mean"], 0)


def test_what_an_epoch_records():
    trained, seen = learned()
    assert seen == list(trained.history)
    assert [epoch.epoch for epoch in seen] == list(range(1, 21))
    assert list(seen[0].gradient_norms) == ["affine1", "affine2"]
    assert min(seen[0].gradient_norms.values()) > 0
    assert list(seen[0].dead_relus) == ["relu1"]
    assert seen[0].seconds > seen[1].seconds > 0


def test_accuracies_are_those_of_the_final_weights():
    data = small_data()
    model = two_layer_net(2, 5, 2)
    trained, _ = learned()
    scores = model.fwd(trained.params, data.x_train)[0][0]
    wanted = np.mean(np.argmax(scores, axis=1) == data.y_train)
    assert trained.history[-1].train_accuracy == pytest.approx(wanted)
    scores = model.fwd(trained.params, data.x_test)[0][0]
    wanted = np.mean(np.argmax(scores, axis=1) == data.y_test)
    assert trained.history[-1].test_accuracy == pytest.approx(wanted)


def test_dead_relus_are_recorded():
    def kill(bar, w):
        return jnp.full_like(bar, -100) if w.ndim == 1 else jnp.zeros_like(bar)

    assert run(epochs=1, optimizer=optax.stateless_with_tree_map(kill)).history[-1].dead_relus == {
        "relu1": 1.0
    }


def test_a_loss_that_blows_up_names_the_epoch_and_the_layers():
    message = (
        r"train: two_layer_net diverged in epoch 2, step 1 of 6: the loss is nan, "
        r"the gradient is not finite in affine1, affine2; try a smaller learning rate"
    )
    with pytest.raises(DivergenceError, match=message):
        run(optimizer=breaks_in_step(6))


def test_a_gradient_that_is_not_finite_in_one_layer_names_that_layer():
    model = two_layer_net(2, 5, 2)
    steps = loop._Told(
        jnp.ones(3),
        {},
        {"affine1": jnp.asarray([True, True, False]), "affine2": jnp.asarray([True] * 3)},
    )
    message = "epoch 4, step 3 of 3: the loss is 1, the gradient is not finite in affine1;"
    with pytest.raises(DivergenceError, match=message):
        loop._check_finite(model, 4, steps)


def breaks_in_step(number):
    """Updates of 0 until that step, then inf."""

    def init(params):
        return jnp.zeros((), jnp.int32)

    def update(bars, count, params=None):
        size = jnp.where(count + 1 >= number, jnp.inf, 0.0)
        return jax.tree.map(lambda bar: jnp.full_like(bar, size), bars), count + 1

    return optax.GradientTransformation(init, update)


DATA = small_data()
CASES = {
    "batch 0": ({"batch": 0}, OptionError, "batch is 0, expected 'full' or a number from 1 to 22"),
    "batch 23": ({"batch": 23}, OptionError, "batch is 23, expected 'full' or .* to 22"),
    "batch text": ({"batch": "half"}, OptionError, "batch is 'half', expected 'full'"),
    "no epochs": ({"epochs": 0}, OptionError, "epochs is 0, expected a positive integer"),
    "half an epoch": ({"epochs": 1.5}, OptionError, "epochs is 1.5, expected a positive integer"),
    "labels that are missing": (
        {"data": DATA._replace(y_train=DATA.y_train[1:])},
        ShapeError,
        r"y_train has shape \(21,\), expected \(22,\)",
    ),
    "labels that are numbers": (
        {"data": DATA._replace(y_test=DATA.y_test.astype(np.float32))},
        ArgumentError,
        "y_test has dtype float32, expected integer labels",
    ),
    "a label too high": (
        {"data": DATA._replace(y_train=DATA.y_train + 1)},
        ArgumentError,
        "y_train has labels from 1 to 2, expected 0 to 1: the model gives 2 scores",
    ),
    "NaN": (
        {"data": DATA._replace(x_train=np.full_like(DATA.x_train, np.nan))},
        ArgumentError,
        "x_train has values that are not finite",
    ),
    "nothing to test on": (
        {"data": DATA._replace(x_test=DATA.x_test[:0], y_test=DATA.y_test[:0])},
        ShapeError,
        "x_test has shape .*, expected at least one example",
    ),
    "images for a flat net": (
        {"data": DATA._replace(x_train=np.ones((22, 1, 8, 8), np.float32))},
        ShapeError,
        r"two_layer_net: x has shape \(1, 1, 8, 8\), expected \(n, 2\)",
    ),
    "a flat net's data for images": (
        {"model": conv_net((1, 8, 8), 2)},
        ShapeError,
        r"conv_net: x has shape \(1, 2\), expected \(n, 1, 8, 8\)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_answered_in_one_line(name):
    settings, kind, message = CASES[name]
    with pytest.raises(kind, match=message) as caught:
        run(**settings)
    assert isinstance(caught.value, PurebpError)
    assert "\n" not in str(caught.value)


DIFFERENTIATION = ("grad", "value_and_grad", "vjp", "jvp", "jacrev", "jacfwd", "linearize")


def forbid_differentiation(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("differentiation by JAX")

    for name in DIFFERENTIATION:
        monkeypatch.setattr(jax, name, refuse)


def test_training_never_differentiates(monkeypatch):
    forbid_differentiation(monkeypatch)
    trained = run(n_layer_net(2, (4,), 2, norm="batch", dropout=0.1))
    assert np.isfinite(trained.history[-1].loss)
    with pytest.raises(AssertionError, match="differentiation by JAX"):
        jax.grad(jnp.sin)(1.0)
