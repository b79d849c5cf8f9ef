"""Each pass sees its own view of the examples."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf import RDropModel
from rdrop_tf.losses import symmetric_kl

pytestmark = pytest.mark.one_backend


def _linear() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])


def _data() -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 6, 4)).astype("float32")
    return (first, second), np.arange(6) % 3


def _fitted(forward: str, alpha: float = 2.0) -> tuple[keras.Model, dict[str, list[float]]]:
    keras.utils.set_random_seed(1)
    rdrop = RDropModel(_linear(), alpha=alpha, forward=forward, views=2)
    rdrop.compile(
        keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    x, y = _data()
    history = rdrop.fit(_Batches(x, y), verbose=0).history
    return rdrop, history


class _Batches(keras.utils.PyDataset):
    def __init__(self, x: tuple[np.ndarray, np.ndarray], y: np.ndarray) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        return self.x, self.y


@pytest.mark.parametrize("forward", ["two_calls", "concat"])
def test_the_loss_is_that_of_both_views(forward: str) -> None:
    keras.utils.set_random_seed(1)
    model = _linear()
    (first, second), y = _data()
    a, b = model(first), model(second)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ce = (float(cross_entropy(y, a)) + float(cross_entropy(y, b))) / 2
    kl = float(ops.mean(symmetric_kl(a, b)))

    _, logs = _fitted(forward)
    assert logs["ce"][0] == pytest.approx(ce, rel=1e-5)
    assert logs["kl"][0] == pytest.approx(kl, rel=1e-5)
    assert logs["loss"][0] == pytest.approx(ce + kl, rel=1e-5)


def test_alpha_0_trains_on_the_first_view() -> None:
    keras.utils.set_random_seed(1)
    plain = _linear()
    plain.compile(
        keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    (first, _), y = _data()
    plain.fit(first, y, batch_size=6, shuffle=False, verbose=0)
    rdrop, _ = _fitted("two_calls", alpha=0.0)
    for mine, theirs in zip(rdrop.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_evaluation_and_prediction_take_plain_inputs(tmp_path: Path) -> None:
    rdrop, _ = _fitted("concat")
    (first, _), y = _data()
    predicted = rdrop.predict(first, verbose=0)
    np.testing.assert_allclose(predicted, ops.convert_to_numpy(rdrop.model(first)), rtol=1e-6)
    assert rdrop.evaluate(first, y, verbose=0, return_dict=True)["ce"] > 0
    rdrop.save(tmp_path / "views.keras")
    assert keras.saving.load_model(tmp_path / "views.keras").views == 2


def test_data_without_views_are_refused() -> None:
    rdrop = RDropModel(_linear(), views=2)
    rdrop.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    (first, _), y = _data()
    with pytest.raises(ValueError, match="a tuple of 2 inputs, one for each pass"):
        rdrop.fit(first, y, verbose=0)


@pytest.mark.parametrize("views", [0, 3, True])
def test_a_number_of_views_that_fits_no_pass_is_refused(views: int) -> None:
    with pytest.raises(ValueError, match=f"`views` must be 1 .* Received: views={views!r} and"):
        RDropModel(_linear(), views=views)
