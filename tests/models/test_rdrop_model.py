"""RDropModel as a Keras model: data, saving, counting, callbacks, errors."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rdrop_tf import RDropModel
from tests.models import zoo

BACKEND = keras.backend.backend()


def sparse() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(model: keras.Model, **options: Any) -> RDropModel:
    rdrop = RDropModel(model, **{"alpha": 2.0, **options})
    rdrop.compile(keras.optimizers.Adam(1e-2), sparse(), metrics=["accuracy"])
    return rdrop


# The loss


@pytest.mark.parametrize("normalize", ["passes", "paper"])
@pytest.mark.parametrize("passes", [2, 3])
def test_the_logged_loss_is_the_formula(normalize: str, passes: int) -> None:
    rdrop = compiled(zoo.functional(0.3), normalize=normalize, passes=passes)
    logs = rdrop.fit(*zoo.features(), batch_size=zoo.ROWS, verbose=0).history
    loss, ce, kl = (logs[key][0] for key in ("loss", "ce", "kl"))
    expected = ce + kl if normalize == "passes" else passes * ce + 2.0 * kl
    assert kl > 1e-3
    assert loss == pytest.approx(expected, rel=1e-6)


SEEDED = pytest.mark.skipif(
    BACKEND == "torch", reason="Keras' dropout on Torch draws from Torch's generator, unseeded"
)


@SEEDED
def test_the_loss_is_that_of_the_two_passes_taken_by_hand() -> None:
    """The same seeds, the same two calls, the formula in NumPy."""
    keras.utils.set_random_seed(3)
    model = zoo.functional(0.3)
    x, y = zoo.features()
    rdrop = compiled(model, alpha=5.0, forward="two_calls")
    states = [v for v in model.non_trainable_variables if "seed" in v.path]
    before = [ops.convert_to_numpy(v).copy() for v in states]
    logits = [ops.convert_to_numpy(model(x, training=True)).astype("float64") for _ in range(2)]
    for state, value in zip(states, before, strict=True):
        state.assign(value)
    log_p, log_q = (z - np.log(np.exp(z).sum(-1, keepdims=True)) for z in logits)
    ce = -np.mean([log[np.arange(zoo.ROWS), y].mean() for log in (log_p, log_q)])
    p, q = np.exp(log_p), np.exp(log_q)
    kl = 0.5 * ((p * (log_p - log_q)).sum(-1) + (q * (log_q - log_p)).sum(-1)).mean()
    logs = rdrop.fit(x, y, batch_size=zoo.ROWS, shuffle=False, verbose=0).history
    assert logs["ce"][0] == pytest.approx(ce, rel=1e-5)
    assert logs["kl"][0] == pytest.approx(kl, rel=1e-4)
    assert logs["loss"][0] == pytest.approx(ce + 2.5 * kl, rel=1e-5)


@pytest.mark.one_backend
def test_every_other_step_makes_one_pass() -> None:
    rdrop = compiled(zoo.functional(0.3), every=2)
    x, y = zoo.features()
    steps: list[float] = []
    for _ in range(4):
        rdrop.reset_metrics()
        steps.append(rdrop.train_on_batch(x, y, return_dict=True)["kl"])
    assert [kl > 0 for kl in steps] == [True, False, True, False]


@pytest.mark.skipif(BACKEND == "torch", reason="Keras does not have it on Torch")
def test_every_with_several_steps_a_call() -> None:
    rdrop = RDropModel(zoo.functional(0.3), every=2)
    rdrop.compile("sgd", sparse(), steps_per_execution=4)
    logs = rdrop.fit(*zoo.features(), batch_size=8, verbose=0).history
    assert logs["kl"][0] > 1e-3


def test_alpha_changes_between_epochs_without_a_retrace() -> None:
    model = built(Counting())
    rdrop = compiled(model, alpha=1.0, forward="two_calls")
    change = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(rdrop, "alpha", 1.0 + epoch)
    )
    logs = rdrop.fit(*zoo.features(), epochs=3, batch_size=8, verbose=0, callbacks=[change]).history
    for epoch in range(3):
        expected = logs["ce"][epoch] + (1.0 + epoch) / 2 * logs["kl"][epoch]
        assert logs["loss"][epoch] == pytest.approx(expected, rel=1e-5)
    if BACKEND != "torch":
        # TensorFlow traces again after the step that made the optimizer's variables.
        assert model.training_calls <= 2 * 2, "two calls a trace"


@pytest.mark.one_backend
def test_alpha_can_leave_and_reach_zero() -> None:
    rdrop = compiled(zoo.functional(0.3), alpha=0.0)
    plan = [0.0, 2.0, 0.0]
    change = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(rdrop, "alpha", plan[epoch])
    )
    logs = rdrop.fit(*zoo.features(), epochs=3, batch_size=8, verbose=0, callbacks=[change]).history
    assert [kl > 0 for kl in logs["kl"]] == [False, True, False]


def test_alpha_follows_a_schedule_of_the_optimizer_step() -> None:
    ramp = keras.optimizers.schedules.PolynomialDecay(0.0, 4, end_learning_rate=4.0)
    rdrop = compiled(zoo.functional(0.3), alpha=ramp)
    x, y = zoo.features()
    for step in range(6):
        rdrop.reset_metrics()
        logs = rdrop.train_on_batch(x, y, return_dict=True)
        expected = logs["ce"] + min(step, 4) / 2 * logs["kl"]
        assert logs["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.one_backend
def test_alpha_by_output() -> None:
    case = zoo.CASES["several outputs"]
    alphas = {"kind": 4.0, "size": 0.0}
    _, both = zoo.train(case, 0.3, lambda m: RDropModel(m, alpha=4.0))
    _, one = zoo.train(case, 0.3, lambda m: RDropModel(m, alpha=alphas))
    for logs, kind in ((both, 4.0), (one, 4.0)):
        expected = logs["ce"][0] + kind / 2 * logs["kl"][0]
        assert logs["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert 0 < one["kl"][0] < both["kl"][0], "the second output has no divergence"


@pytest.mark.one_backend
def test_the_metrics_of_outputs_add_up_to_the_loss() -> None:
    _, logs = zoo.train(zoo.CASES["several outputs"], 0.3, lambda m: RDropModel(m, alpha=4.0))
    assert logs["loss"][0] == pytest.approx(logs["kind_loss"][0] + 0.3 * logs["size_loss"][0], 1e-5)


@pytest.mark.one_backend
def test_divergence_by_name_and_by_function() -> None:
    def gap(a: Any, b: Any) -> Any:
        return ops.mean(ops.abs(a - b), axis=-1)

    for divergence in ("jensen_shannon", "kl_forward", "squared_difference", gap):
        # One call and plain descent: each divergence is traced and compiled anew.
        rdrop = RDropModel(zoo.functional(0.3), divergence=divergence, forward="concat")
        rdrop.compile("sgd", sparse())
        logs = rdrop.fit(*zoo.features(), verbose=0).history
        assert logs["kl"][0] > 0, divergence


# Counting


def built(model: keras.Model) -> keras.Model:
    """Builds a model outside of the step, where TensorFlow would trace twice for it."""
    model(zoo.features()[0])
    model.training_calls = model.other_calls = 0
    return model


@keras.saving.register_keras_serializable(package="tests")
class Counting(zoo.Subclassed):
    """Counts its calls: traces where steps are compiled, calls where they run eagerly."""

    def __init__(self, rate: float = 0.3, **options: Any) -> None:
        super().__init__(rate, **options)
        self.training_calls = self.other_calls = 0

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self.training_calls += 1
        else:
            self.other_calls += 1
        return super().call(inputs, training=training)


@pytest.mark.parametrize("forward", ["two_calls", "concat"])
@pytest.mark.skipif(BACKEND == "torch", reason="Torch traces nothing")
def test_no_retracing_over_100_steps_with_a_ragged_last_batch(forward: str) -> None:
    model = built(Counting())
    rdrop = compiled(model, forward=forward)
    x, y = zoo.features()
    rdrop.fit(x[:37], y[:37], batch_size=8, epochs=20, verbose=0)
    assert model.training_calls / (2 if forward == "two_calls" else 1) <= 2
    assert rdrop.traces <= 2


@pytest.mark.one_backend
@pytest.mark.skipif(BACKEND == "torch", reason="Torch traces nothing")
def test_traces_grow_with_the_shapes_of_batches() -> None:
    rdrop = RDropModel(keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(3)]))
    rdrop.compile("sgd", sparse())
    assert rdrop.traces == 0
    rdrop.fit(np.ones((8, 4)), np.zeros(8), batch_size=8, epochs=3, verbose=0)
    before = rdrop.traces
    assert before >= 1
    rdrop.fit(np.ones((3, 4)), np.zeros(3), batch_size=3, epochs=3, verbose=0)
    assert before < rdrop.traces <= before + 2


@pytest.mark.tensorflow
def test_two_replicas_trace_a_step_once(mirrored: Any) -> None:
    with mirrored.scope():
        network = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5)])
        network.add(keras.layers.Dense(3))
        rdrop = RDropModel(network)
        rdrop.compile("sgd", sparse())
    rdrop.fit(np.ones((8, 4)), np.zeros(8), batch_size=8, epochs=3, verbose=0)
    assert 1 <= rdrop.traces <= 2


def test_evaluate_and_predict_call_the_model_once_a_batch() -> None:
    model = Counting()
    rdrop = RDropModel(model)
    rdrop.compile("sgd", sparse(), run_eagerly=True)
    x, y = zoo.features()
    model(x)
    for run in (
        lambda: rdrop.evaluate(x, y, batch_size=8, verbose=0),
        lambda: rdrop.predict(x, batch_size=8, verbose=0),
    ):
        model.training_calls = model.other_calls = 0
        run()
        # JAX and Torch look at shapes once more before they run.
        looks = BACKEND != "tensorflow" and model.other_calls == 6
        assert model.other_calls - looks == 5
        assert model.training_calls == 0


class Rows(keras.metrics.Metric):
    """Counts the rows it is shown."""

    def __init__(self) -> None:
        super().__init__(name="rows")
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.total.assign_add(ops.cast(ops.shape(y_pred)[0], "float32"))

    def result(self) -> Any:
        return ops.convert_to_tensor(self.total)


@pytest.mark.parametrize("forward", ["two_calls", "concat"])
def test_compiled_metrics_see_each_example_once(forward: str) -> None:
    rdrop = RDropModel(zoo.functional(0.3), forward=forward, passes=3)
    rdrop.compile("sgd", sparse(), metrics=[Rows()])
    x, y = zoo.features()
    logs = rdrop.fit(x, y, batch_size=7, verbose=0, validation_data=(x, y)).history
    assert logs["rows"] == logs["val_rows"] == [zoo.ROWS]


def test_logs_hold_loss_ce_and_kl_and_evaluation_no_kl() -> None:
    rdrop = compiled(zoo.functional(0.3))
    x, y = zoo.features()
    logs = rdrop.fit(x, y, validation_data=(x, y), verbose=0).history
    assert set(logs) == {"loss", "ce", "kl", "accuracy", "val_loss", "val_ce", "val_accuracy"}
    assert logs["val_ce"] == pytest.approx(logs["val_loss"])
    found = rdrop.evaluate(x, y, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(logs["val_loss"][0])
    assert set(rdrop.test_on_batch(x, y, return_dict=True)) == {"loss", "ce", "accuracy"}


# Data


class Pieces(keras.utils.PyDataset):
    def __init__(self, x: Any, y: Any) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        rows = slice(8 * index, 8 * index + 8)
        return self.x[rows], self.y[rows]


def generator() -> Any:
    x, y = zoo.features()
    for start in range(0, 40, 8):
        yield x[start : start + 8], y[start : start + 8]


def dataset() -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(zoo.features()).batch(8)


@pytest.mark.one_backend
def test_all_kinds_of_data_train_alike() -> None:
    sources = [generator, lambda: Pieces(*zoo.features())]
    if BACKEND != "torch":
        sources.append(dataset)
    expected = None
    for source in [None, *sources]:
        keras.utils.set_random_seed(2)
        model = zoo.functional(0.3)
        rdrop = RDropModel(model, alpha=2.0)
        rdrop.compile(keras.optimizers.SGD(0.5), sparse())
        if source is None:
            rdrop.fit(*zoo.features(), batch_size=8, shuffle=False, verbose=0)
            expected = model.get_weights()
        else:
            steps = 5 if source is generator else None
            rdrop.fit(source(), shuffle=False, steps_per_epoch=steps, verbose=0)
            for a, b in zip(expected, model.get_weights(), strict=True):
                np.testing.assert_allclose(a, b, atol=1e-7)


# Saving


@SEEDED
def test_saved_and_loaded_it_predicts_and_trains_on_alike(tmp_path: Path) -> None:
    """Without custom_objects, dropout and optimizer state included."""
    x, y = zoo.features()
    rdrop = compiled(zoo.functional(0.3), alpha=3.0, normalize="paper", every=2, passes=3)
    rdrop.fit(x, y, batch_size=8, verbose=0)
    rdrop.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, RDropModel)
    np.testing.assert_array_equal(rdrop.predict(x, verbose=0), again.predict(x, verbose=0))
    logs = [m.fit(x, y, batch_size=8, shuffle=False, verbose=0).history for m in (rdrop, again)]
    assert logs[0] == logs[1]
    assert zoo.largest_difference(rdrop, again) == 0.0
    for name in ("alpha", "normalize", "every", "passes", "forward_mode", "divergence", "name"):
        assert getattr(rdrop, name) == getattr(again, name)


@pytest.mark.one_backend
def test_a_schedule_and_a_dict_of_alphas_are_saved(tmp_path: Path) -> None:
    ramp = keras.optimizers.schedules.PolynomialDecay(0.0, 4, end_learning_rate=4.0)
    rdrop = RDropModel(zoo.two_outputs(0.3), alpha={"kind": ramp, "size": 0.5})
    rdrop.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.alpha["size"] == 0.5
    assert again.alpha["kind"].get_config() == ramp.get_config()


@pytest.mark.one_backend
def test_a_subclassed_model_is_saved(tmp_path: Path) -> None:
    x, y = zoo.features()
    rdrop = compiled(zoo.Subclassed(0.3))
    rdrop.fit(x, y, verbose=0)
    rdrop.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(rdrop.predict(x, verbose=0), again.predict(x, verbose=0))


@pytest.mark.one_backend
def test_the_wrapped_model_is_trained_in_place_and_saves_alone(tmp_path: Path) -> None:
    x, y = zoo.features()
    model = zoo.functional(0.3)
    rdrop = compiled(model)
    rdrop.fit(x, y, verbose=0)
    assert rdrop.model is model
    np.testing.assert_array_equal(model.predict(x, verbose=0), rdrop.predict(x, verbose=0))
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = zoo.functional(0.3)
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert zoo.largest_difference(model, fresh) == 0.0
    rdrop.save_weights(tmp_path / "rdrop.weights.h5")
    other = RDropModel(zoo.functional(0.3), alpha=1.0)
    other.load_weights(tmp_path / "rdrop.weights.h5")
    assert zoo.largest_difference(model, other.model) == 0.0


@pytest.mark.tensorflow
def test_export_serves_a_single_pass(tmp_path: Path) -> None:
    import tensorflow as tf

    x, y = zoo.features()
    rdrop = compiled(zoo.functional(0.3))
    rdrop.fit(x, y, verbose=0)
    rdrop.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    served = loaded.serve(x)
    np.testing.assert_allclose(served, rdrop.predict(x, verbose=0), atol=1e-6)


# Callbacks


@pytest.mark.one_backend
def test_callbacks_work_unchanged(tmp_path: Path) -> None:
    x, y = zoo.features()
    rdrop = compiled(zoo.functional(0.3))
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", monitor="val_ce", mode="min"),
        keras.callbacks.ReduceLROnPlateau(
            monitor="kl", mode="min", factor=0.5, patience=0, min_delta=10.0
        ),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=10.0),
    ]
    given = list(callbacks)
    logs = rdrop.fit(x, y, validation_data=(x, y), epochs=5, verbose=0, callbacks=callbacks).history
    assert callbacks == given, "the user's list is left alone"
    assert len(logs["loss"]) == 2, "stopped early"
    assert float(rdrop.optimizer.learning_rate) == pytest.approx(0.005)
    best = keras.saving.load_model(tmp_path / "2.keras")
    np.testing.assert_array_equal(best.predict(x, verbose=0), rdrop.predict(x, verbose=0))


@pytest.mark.tensorflow
def test_tensorboard_gets_curves_of_ce_and_kl(tmp_path: Path) -> None:
    import tensorflow as tf

    rdrop = compiled(zoo.functional(0.3))
    board = keras.callbacks.TensorBoard(tmp_path)
    rdrop.fit(*zoo.features(), epochs=3, verbose=0, callbacks=[board])
    tags: list[str] = []
    for path in tmp_path.glob("train/events*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            tags.extend(value.tag for value in event.summary.value)
    assert tags.count("epoch_ce") == tags.count("epoch_kl") == 3


# Errors


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"alpha": -1.0}, r"`alpha` must be finite and >= 0. Received: alpha=-1.0"),
        ({"alpha": float("nan")}, r"`alpha` must be finite and >= 0. Received: alpha=nan"),
        ({"alpha": "five"}, r"`alpha` must be a number >= 0. Received: alpha='five'"),
        ({"alpha": {"a": float("inf")}}, r"`alpha\['a'\]` must be finite and >= 0"),
        ({"alpha": {}}, r"needs an entry for each output"),
        ({"passes": 1}, r"`passes` must be a whole number >= 2: .*Received: passes=1"),
        ({"every": 0}, r"`every` must be a whole number >= 1: .*Received: every=0"),
        ({"divergence": "kl"}, r"`divergence` must be one of 'auto', .*Received: divergence='kl'"),
        ({"forward": "twice"}, r"`forward` must be one of 'auto', .*Received: forward='twice'"),
        ({"normalize": "sum"}, r"`normalize` must be one of 'passes', 'paper'. Received"),
    ],
)
def test_arguments_that_break_a_rule(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        RDropModel(zoo.functional(0.1), **options)


@pytest.mark.parametrize("model", [lambda x: x, layers.Dense(2), None])
def test_what_is_no_model_is_refused(model: Any) -> None:
    with pytest.raises(ValueError, match=r"RDropModel wraps a keras.Model: .*Received: .* of type"):
        RDropModel(model)


def test_an_rdrop_model_is_not_wrapped_again() -> None:
    with pytest.raises(ValueError, match="is an RDropModel already"):
        RDropModel(RDropModel(zoo.functional(0.1)))


@pytest.mark.one_backend
def test_a_loss_without_a_known_divergence_is_refused_before_anything_changes() -> None:
    rdrop = compiled(zoo.functional(0.1))
    optimizer = rdrop.optimizer
    with pytest.raises(ValueError, match=r"No divergence is known for the loss `poisson`.*'auto'"):
        rdrop.compile("sgd", "poisson")
    assert rdrop.optimizer is optimizer
    rdrop.fit(*zoo.features(), verbose=0)


@pytest.mark.one_backend
def test_a_foreign_loss_trains_with_a_divergence_of_ones_own() -> None:
    rdrop = RDropModel(sized(), divergence="squared_difference")
    rdrop.compile("sgd", "poisson")
    x, _ = zoo.features()
    logs = rdrop.fit(x, np.abs(x[:, :1]), verbose=0).history
    assert logs["kl"][0] > 0


def sized() -> keras.Model:
    return keras.Sequential([layers.Dropout(0.3), layers.Dense(1, activation="softplus")])


def test_labels_out_of_range_are_named() -> None:
    rdrop = compiled(zoo.functional(0.1))
    x, y = zoo.features()
    y = y.copy()
    y[3] = 7
    with pytest.raises(ValueError, match=r"Labels must be whole numbers from 0 to .*Received: "):
        rdrop.fit(x, y, batch_size=8, verbose=0)


@pytest.mark.skipif(BACKEND == "torch", reason="Torch raises at once")
def test_labels_out_of_range_are_named_where_steps_are_compiled() -> None:
    rdrop = RDropModel(zoo.functional(0.1))
    rdrop.compile("sgd", sparse(), jit_compile=True)
    x, y = zoo.features()
    y = y.copy()
    y[3] = -1
    with pytest.raises(
        ValueError, match=r"Labels must be .*Received: 1 labels out of range in epoch 1"
    ):
        rdrop.fit(x, y, batch_size=8, verbose=0)


def test_labels_out_of_range_pass_where_they_have_no_weight() -> None:
    rdrop = compiled(zoo.functional(0.1))
    x, y = zoo.features()
    y, weights = y.copy(), np.ones(zoo.ROWS, "float32")
    y[3], weights[3] = -100, 0.0
    logs = rdrop.fit(x, y, sample_weight=weights, batch_size=8, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert all(np.isfinite(w).all() for w in rdrop.get_weights())


def test_alpha_for_an_unknown_output_is_refused() -> None:
    case = zoo.CASES["several outputs"]
    with pytest.raises(
        ValueError, match=r"needs one entry for each output .*'kind', 'size'. Received"
    ):
        zoo.train(case, 0.1, lambda m: RDropModel(m, alpha={"kind": 1.0, "sise": 1.0}))


@pytest.mark.one_backend
def test_alpha_cannot_change_its_kind() -> None:
    rdrop = RDropModel(zoo.functional(0.1), alpha=1.0)
    with pytest.raises(ValueError, match=r"`alpha` can change from number to number"):
        rdrop.alpha = {"a": 1.0}
    with pytest.raises(ValueError, match=r"`alpha` must be finite and >= 0. Received: alpha=-2"):
        rdrop.alpha = -2
    assert rdrop.alpha == 1.0


@pytest.mark.one_backend
def test_fit_without_a_loss_is_refused() -> None:
    rdrop = RDropModel(zoo.functional(0.1))
    rdrop.compile("sgd")
    with pytest.raises(ValueError, match=r"needs the task loss in `compile\(loss=...\)`"):
        rdrop.fit(*zoo.features(), verbose=0)


@pytest.mark.one_backend
@pytest.mark.parametrize("reduction", ["none", None])
def test_a_loss_that_is_not_reduced_is_refused(reduction: Any) -> None:
    rdrop = RDropModel(zoo.functional(0.1))
    rdrop.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True, reduction=reduction))
    with pytest.raises(ValueError, match=r"averaged or summed. Received: reduction="):
        rdrop.fit(*zoo.features(), verbose=0)


@pytest.mark.one_backend
def test_a_number_that_is_not_a_label_array_of_the_users_is_left_alone() -> None:
    x, y = zoo.features()
    before = x.copy(), y.copy()
    compiled(zoo.functional(0.3), forward="concat").fit(x, y, verbose=0)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])
