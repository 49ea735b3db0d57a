from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import keras
from tasks_drawn import QUICK, drawn

from mien.errors import TrainingError
from mien.training.engine.variables import reseed, restore, to_arrays
from mien.training.tasks.classification.compilation import build_compiled

pytestmark = [pytest.mark.train, pytest.mark.backend]


def layers(width: int = 4) -> keras.Model:
    """A model of its own each time, its layers' names counted on."""
    x = keras.Input((6, 6, 2))
    y = keras.layers.Conv2D(width, 3, data_format="channels_last")(x)
    y = keras.layers.BatchNormalization()(y)
    return keras.Model(x, keras.layers.Dense(2)(keras.layers.Dropout(0.5)(keras.layers.Flatten()(y))))


def test_values_come_back_to_the_last_bit() -> None:
    model = layers()
    odd = [np.random.default_rng(0).normal(size=weight.shape).astype(np.float32) for weight in model.weights]
    odd[0].ravel()[:3] = np.nan, -0.0, 1e-45
    restore(model.weights, dict(zip(to_arrays(model.weights), odd, strict=True)))
    for values, expected in zip(to_arrays(model.weights).values(), odd, strict=True):
        assert values.tobytes() == expected.tobytes()


def test_names_are_those_of_any_process_and_in_the_order_of_the_variables() -> None:
    first, second = to_arrays(layers().weights), to_arrays(layers().weights)
    assert list(first) == list(second)
    assert list(first)[:3] == ["0000 kernel", "0001 bias", "0002 gamma"]


def test_captured_values_are_copies() -> None:
    model = layers()
    before = to_arrays(model.weights)
    restore(model.weights, {name: values + 1 for name, values in before.items()})
    for name, values in to_arrays(model.weights).items():
        np.testing.assert_array_equal(values, before[name] + 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("0001 bias"),
        lambda arrays: arrays.update({"9999 kernel": np.zeros(1, np.float32)}),
        lambda arrays: arrays.update({"0001 bias": np.zeros(5, np.float32)}),
        lambda arrays: arrays.update({"0001 bias": np.zeros(4, np.float64)}),
    ],
    ids=["missing", "more", "shape", "type"],
)
def test_what_does_not_fit_changes_nothing(change: object) -> None:
    model = layers()
    before = to_arrays(model.weights)
    arrays = {name: values + 1 for name, values in before.items()}
    change(arrays)
    with pytest.raises(TrainingError, match="expected the variables of the config's network"):
        restore(model.weights, arrays)
    for name, values in to_arrays(model.weights).items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_a_count_of_steps_is_read_from_any_backend(dtype: type) -> None:
    model = build_compiled(drawn(each=2), QUICK)
    arrays = to_arrays(model.optimizer.variables)
    assert next(iter(arrays)) == "0000 iteration"
    restore(model.optimizer.variables, {**arrays, "0000 iteration": np.array(7, dtype)})
    assert int(model.optimizer.iterations) == 7


def test_dropout_depends_on_seed_epoch_and_step_alone() -> None:
    model = layers()
    crops = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype(np.float32)

    def dropped(*numbers: int) -> np.ndarray:
        reseed(model, *numbers)
        return keras.ops.convert_to_numpy(model.layers[-2](np.ones((8, 64), np.float32), training=True))

    first = dropped(0, 1, 2)
    model(crops, training=True)
    np.testing.assert_array_equal(dropped(0, 1, 2), first)
    for numbers in ((1, 1, 2), (0, 2, 2), (0, 1, 3)):
        assert not np.array_equal(dropped(*numbers), first)
