"""The digits: split, scale, and a clear answer where scikit-learn is missing."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import MissingPackageError, OptionError
from purebp.training import load_digits
from purebp.training.augment import move_image, shift_images
from purebp.training.recipes import OPTIMIZERS, RECIPES, make_optimizer


def test_the_split_is_stratified_and_covers_all_digits():
    data = load_digits()
    assert data.x_train.shape == (1347, 1, 8, 8)
    assert data.x_test.shape == (450, 1, 8, 8)
    counts = np.bincount(data.y_train), np.bincount(data.y_test)
    assert len(counts[0]) == 10
    np.testing.assert_allclose(counts[0] / 1347, counts[1] / 450, atol=0.002)
    images = np.concatenate([data.x_train, data.x_test]).reshape(1797, -1)
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert images.dtype == np.float32
    # 1,797 different images: none is in both parts.
    assert len(np.unique(images, axis=0)) == 1797


def test_the_split_is_the_same_every_time_and_flat_or_not():
    data, again, flat = load_digits(), load_digits(), load_digits(flat=True)
    np.testing.assert_array_equal(data.x_test, again.x_test)
    np.testing.assert_array_equal(data.x_test.reshape(450, 64), flat.x_test)
    np.testing.assert_array_equal(data.y_train, flat.y_train)


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'purebp\[examples\]'"):
        load_digits()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fits_the_digits(name):
    recipe = RECIPES[name]
    model = recipe.build()
    data = load_digits(flat=recipe.flat)
    assert model.input_shape == data.x_train.shape[1:]
    params = jax.eval_shape(model.init, jax.random.key(0))
    state = jax.eval_shape(model.init_state)
    (scores, _), _ = jax.eval_shape(model.fwd, params, data.x_test, state)
    assert scores.shape == (450, 10)
    assert set(recipe.learning_rates) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_learning_rate_falls_to_nothing(name):
    optimizer = make_optimizer(name, 0.1, 10)
    w = jnp.ones(())
    state = optimizer.init(w)
    steps = []
    for _ in range(11):
        update, state = optimizer.update(w, state, w)
        steps.append(-np.asarray(update))
    assert steps[0] == pytest.approx(0.1, rel=1e-5)
    assert steps[10] == pytest.approx(0, abs=1e-7)


def test_an_unknown_optimizer():
    with pytest.raises(OptionError, match="optimizer is 'lion', expected one of sgd, momentum"):
        make_optimizer("lion", 0.1, 10)


IMAGE = jnp.arange(1.0, 13).reshape(1, 3, 4)


def test_a_whole_move_down_and_left_lets_zeros_come_in():
    moved = move_image(IMAGE, jnp.asarray([1.0, -1.0]))
    np.testing.assert_allclose(moved[0], [[0, 0, 0, 0], [2, 3, 4, 0], [6, 7, 8, 0]])


def test_half_a_move_is_the_mean_of_two_pixels():
    moved = move_image(IMAGE, jnp.asarray([0.0, 0.5]))
    np.testing.assert_allclose(moved[0, 0], [0.5, 1.5, 2.5, 3.5])


def test_each_image_moves_its_own_way_by_at_most_half_a_pixel():
    dot = jnp.zeros((200, 1, 5, 5)).at[:, :, 2, 2].set(1)
    shifted = np.asarray(shift_images(jax.random.key(0), dot))[:, 0]
    places = np.arange(5) - 2
    moves = np.stack([(shifted.sum(2) * places).sum(1), (shifted.sum(1) * places).sum(1)])
    assert np.abs(moves).max() <= 0.5
    assert moves.min() < -0.45
    assert moves.max() > 0.45
    assert abs(np.corrcoef(moves)[0, 1]) < 0.2
