"""What a trained model leaves behind: nothing."""

import gc
import weakref

import keras
import numpy as np
import pytest

from rdrop_tf import RDropModel
from rdrop_tf.models import trial
from rdrop_tf.models.made_up import weights_like

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

X, Y = np.ones((8, 4), "float32"), np.arange(8) % 3


class Noting(keras.layers.Layer):
    """Notes the graphs it is called in, but for those in which Keras only looks at shapes."""

    def __init__(self, graphs: list) -> None:
        super().__init__()
        self._note = graphs.append
        self.noise = keras.layers.Dropout(0.5)

    def call(self, inputs, training=None):
        if tf.inside_function():
            graph = tf.compat.v1.get_default_graph()
            if not graph.name.startswith("scratch_graph"):
                self._note(weakref.ref(graph))
        # `silu` is a custom gradient of TensorFlow's.
        return keras.ops.silu(self.noise(inputs, training=training))


class InFunction(keras.layers.Layer):
    """Has a compiled function of its own."""

    @tf.function
    def call(self, inputs):
        return tf.nn.silu(inputs)


def _model(*layers):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), *layers])


def _use(rdrop, steps_per_execution=1):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rdrop.compile("adam", loss, steps_per_execution=steps_per_execution)
    rdrop.fit(X, Y, batch_size=4, validation_data=(X, Y), verbose=0)
    rdrop.evaluate(X, Y, verbose=0)
    rdrop.predict(X, verbose=0)
    rdrop.train_on_batch(X, Y)


def _train_and_forget(graphs, options, steps_per_execution=1):
    rdrop = RDropModel(_model(Noting(graphs), keras.layers.Dense(3)), **options)
    _use(rdrop, steps_per_execution)


def _alive(graphs):
    gc.collect()
    return [graph().name for graph in graphs if graph() is not None]


@pytest.mark.parametrize(
    "options",
    [{}, {"alpha": 0.0}, {"every": 2}, {"forward": "concat"}, {"forward": "shared_prefix"}],
    ids=str,
)
def test_graphs_of_a_model_go_with_it(options):
    graphs = []
    _train_and_forget(graphs, options)
    assert len(graphs) > 3
    assert _alive(graphs) == []


def test_graphs_of_several_steps_at_once_go_as_well():
    graphs = []
    _train_and_forget(graphs, {}, steps_per_execution=2)
    assert len(graphs) > 3
    assert _alive(graphs) == []


class Subclassed(keras.Model):
    """Keras traces it once more than a functional model, to build it."""

    def __init__(self):
        super().__init__()
        self.first, self.last = keras.layers.Dense(8), keras.layers.Dense(3)
        self.noise = keras.layers.Dropout(0.5)

    def call(self, inputs, training=None):
        return self.last(self.noise(keras.ops.silu(self.first(inputs)), training=training))


def _recurrent():
    """Has a custom gradient in the body of a loop."""
    sequence = [keras.Input((4,)), keras.layers.Reshape((4, 1))]
    head = [keras.layers.LSTM(3, activation="silu"), keras.layers.Dropout(0.1)]
    return keras.Sequential([*sequence, *head, keras.layers.Dense(3)])


def _built_on_silu():
    layers = [keras.layers.Dense(4, activation="silu"), keras.layers.Dropout(0.1)]
    return _model(*layers, keras.layers.Dense(3))


@pytest.mark.parametrize("make", [Subclassed, _recurrent, _built_on_silu])
def test_weights_and_slots_go_with_their_model(make):
    def handles():
        rdrop = RDropModel(make())
        _use(rdrop)
        variables = [*rdrop.variables, *rdrop.optimizer.variables]
        return [weakref.ref(variable.value.handle) for variable in variables]

    found = handles()
    gc.collect()
    assert len(found) > 10
    assert [handle() for handle in found if handle() is not None] == []


def test_a_trial_leaves_none_of_its_made_up_weights(monkeypatch):
    made = []

    def noted(operation):
        values = weights_like(operation)
        made.extend(weakref.ref(value) for _, value in values)
        return values

    monkeypatch.setattr(trial, "weights_like", noted)
    layers = [keras.layers.Dense(4, activation="silu"), keras.layers.Dropout(0.1)]
    assert RDropModel(_model(*layers, keras.layers.Dense(3))).resolved_forward == "shared_prefix"
    gc.collect()
    assert len(made) >= 4
    assert [weight() for weight in made if weight() is not None] == []


def test_a_step_in_a_users_own_function_keeps_its_gradient():
    rdrop = RDropModel(
        _model(keras.layers.Activation("silu"), keras.layers.Dropout(0.1), keras.layers.Dense(3))
    )
    _use(rdrop)

    @tf.function
    def logits(x):
        return rdrop.predict_step((x,))

    x = tf.constant(X)
    logits(x)
    rdrop.predict(X[:3], verbose=0)  # traced anew
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = logits(x)
    assert np.abs(tape.gradient(y, x)).max() > 0


@pytest.mark.parametrize("every", [1, 2])
def test_graphs_of_replicas_go_as_well(mirrored, every):
    graphs = []
    with mirrored.scope():
        _train_and_forget(graphs, {"every": every})
    assert len(graphs) > 6
    assert _alive(graphs) == []


def test_a_layers_own_function_keeps_its_gradient():
    model = _model(InFunction(), keras.layers.Dropout(0.1), keras.layers.Dense(3))
    _use(RDropModel(model))
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
    kernels = [layer.kernel for layer in (model.layers[0], model.layers[-1])]
    before = x @ kernels[0] + model.layers[0].bias
    sigmoid = tf.sigmoid(before)
    slope = sigmoid * (1 + before * (1 - sigmoid))
    expected = (slope * tf.reduce_sum(kernels[1], axis=1)) @ tf.transpose(kernels[0])
    np.testing.assert_allclose(tape.gradient(y, x), expected, rtol=1e-5)
