"""What "auto" picks, what is refused, and what `describe` says of it."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf import RDropModel
from rdrop_tf.models.choice import LEAST_SHARE, choose
from rdrop_tf.models.passes import run_passes
from tests.models import noisy, zoo

pytestmark = pytest.mark.one_backend


def model_with(before: int, behind: int) -> keras.Model:
    h = x = keras.Input((64,))
    for _ in range(before):
        h = layers.Dense(64)(h)
    h = layers.Dropout(0.1, name="drop")(h)
    for _ in range(behind):
        h = layers.Dense(64)(h)
    return keras.Model(x, h)


def test_auto_shares_what_is_worth_it() -> None:
    assert choose(model_with(1, 9), "auto").forward == "shared_prefix"
    assert choose(model_with(1, 29), "auto").forward == "two_calls"
    assert choose(model_with(0, 2), "auto").forward == "two_calls"
    assert 1 / 30 < LEAST_SHARE < 1 / 10


def test_a_model_with_noise_at_its_input_is_not_run() -> None:
    class Unrunnable(layers.Layer):
        def call(self, x):
            raise AssertionError("must not be run")

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    x = keras.Input((8,))
    h = Unrunnable()(layers.Dropout(0.1)(x))
    model = keras.Model(x, layers.Dense(300)(h))
    assert choose(model, "auto").forward == "two_calls"


def test_auto_falls_back_with_the_reason() -> None:
    assert "subclassed model (Subclassed)" in choose(zoo.Subclassed(0.3), "auto").reason
    assert "views=2" in choose(zoo.functional(0.3), "auto", views=2).reason
    rdrop = RDropModel(zoo.Subclassed(0.3))
    assert rdrop.resolved_forward == "two_calls"
    text = rdrop.describe()
    assert "forward='two_calls' (no prefix can be shared: " in text
    assert text.endswith("Estimated cost of a step: 2.00 times a plain step.")


def test_a_subclassed_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Received: 'subclassed.*' is a subclassed model \(Subc"):
        RDropModel(zoo.Subclassed(0.3), forward="shared_prefix")


def test_a_functional_model_with_a_call_of_its_own_is_refused() -> None:
    class Noisy(keras.Model):
        def call(self, inputs, training=None, mask=None):
            return super().call(inputs, training=training) + 1.0

    x = keras.Input((8,))
    model = Noisy(x, layers.Dense(3)(x))
    with pytest.raises(ValueError, match=r"the class of .* \(Noisy\) has a `call` of its own"):
        RDropModel(model, forward="shared_prefix")


def test_views_are_refused() -> None:
    with pytest.raises(ValueError, match="Received: views=2, an input of its own for each pass"):
        RDropModel(zoo.functional(0.3), forward="shared_prefix", views=2)
    x, _ = zoo.features()
    with pytest.raises(ValueError, match=r"needs .* the same input for all passes"):
        run_passes(zoo.functional(0.3), [x, x + 1], "shared_prefix")


def test_layers_that_make_no_graph_are_refused_at_the_first_batch() -> None:
    model = keras.Sequential([layers.Add(), layers.Dense(3)])
    x = np.ones((4, 8), "float32")
    model((x, x))
    with pytest.raises(ValueError, match="Keras made no graph for the layers of"):
        run_passes(model, [(x, x)] * 2, "shared_prefix")


def test_a_sequential_model_is_open_until_it_is_built() -> None:
    rdrop = RDropModel(noisy.sequential(0.4))
    assert rdrop.resolved_forward == "auto"
    assert "is not built" in rdrop.describe()
    rdrop.compile("sgd", zoo.CASES["functional"].loss())
    rdrop.fit(*zoo.features(), verbose=0)
    assert rdrop.resolved_forward == "shared_prefix"


def test_describe_says_where_and_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    text = RDropModel(model_with(3, 1)).describe()
    assert capsys.readouterr().out == text + "\n"
    lines = text.split("\n")
    assert lines[0].endswith(
        "2 passes by forward='shared_prefix' (75% of a plain step's operations come before the "
        "first noise, at least 5%)."
    )
    assert lines[1:3] == ["First noise:", "  drop: keeps a seed generator"]
    assert lines[3] == "Before it: 75% of the forward operations, 75% of a plain step's."
    assert lines[4] == "Estimated cost of a step: 1.25 times a plain step."


def test_describe_of_the_other_ways() -> None:
    model = model_with(3, 1)
    assert "cost of a step: 2.00 times" in RDropModel(model, forward="concat").describe()
    text = RDropModel(model, passes=3, every=4).describe()
    assert "1.50 times a plain step, every 4 steps; 1.13 on average" in text
    assert "alpha is 0" in RDropModel(model, alpha=0.0).describe()


def test_a_frozen_prefix_saves_its_forward_pass_only() -> None:
    model = model_with(3, 1)
    for layer in model.layers[:4]:
        layer.trainable = False
    text = RDropModel(model).describe()
    assert "75% of the forward operations, none of its weights trained, 50% of a plain" in text
    assert "1.50 times a plain step" in text


def test_names_lead_into_nested_models() -> None:
    text = RDropModel(noisy.nested(0.4)).describe()
    assert "  outer/inner/dropout" in text


def test_the_way_is_saved(tmp_path: Path) -> None:
    rdrop = RDropModel(zoo.functional(0.3), forward="shared_prefix")
    rdrop.compile("sgd", zoo.CASES["functional"].loss())
    rdrop.fit(*zoo.features(), verbose=0)
    rdrop.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").resolved_forward == "shared_prefix"
