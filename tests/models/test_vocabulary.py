"""RDropModel on models that end in a vocabulary head: the same training, no logits."""

import re
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf import RDropModel
from rdrop_tf.layers import VocabularyHead
from rdrop_tf.losses import linear_terms
from rdrop_tf.losses.projection import Projection
from tests.models.language_models import (
    LENGTH,
    VOCABULARY,
    WIDTH,
    Subclassed,
    TiedDense,
    headed,
    plain,
    tokens,
    trunk,
)

KINDS = ["own", "tied_bias", "regularised"]
SPARSE = keras.losses.SparseCategoricalCrossentropy


def train(model: keras.Model, *, loss: Any = None, metrics: Any = None, **options: Any) -> Any:
    """Trains an epoch and returns the weights and the logs.

    Eagerly unless told otherwise: a step is traced longer than these few take.
    """
    compiled = {"run_eagerly": keras.backend.backend() == "tensorflow"}
    if "jit_compile" in options:
        compiled = {"jit_compile": options.pop("jit_compile")}
    weights = options.pop("sample_weight", None)
    rdrop = RDropModel(model, alpha=2.0, **options)
    loss = loss or SPARSE(from_logits=True)
    rdrop.compile(keras.optimizers.SGD(0.3, momentum=0.9), loss, metrics=metrics, **compiled)
    x, y = tokens()
    fitted = rdrop.fit(
        x, y, sample_weight=weights, batch_size=3, epochs=1, shuffle=False, verbose=0
    )
    return model.get_weights(), fitted.history


def assert_same_training(first: Any, second: Any, tolerance: float = 2e-6) -> None:
    for a, b in zip(first[0], second[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    # Names without the numbers that Keras gives to layers.
    logs = [{re.sub(r"_\d+", "", name): v for name, v in one[1].items()} for one in (first, second)]
    assert logs[0].keys() == logs[1].keys()
    for name, values in logs[0].items():
        np.testing.assert_allclose(values, logs[1][name], rtol=2e-5, atol=tolerance)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The passes of every chunked computation that is traced or run."""
    from rdrop_tf.losses import linear_head

    seen: list[int] = []
    original = linear_terms.linear_terms

    def counted(hidden: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(int(hidden.shape[0]))
        return original(hidden, *args, **kwargs)

    monkeypatch.setattr(linear_head, "linear_terms", counted)
    return seen


def same_start(a: keras.Model, b: keras.Model) -> None:
    b.set_weights(a.get_weights())


@pytest.mark.parametrize(
    ("kind", "forward"),
    [
        ("own_bias", "two_calls"),
        ("tied", "concat"),
        # Each is compiled, which takes long elsewhere.
        *(pytest.param(kind, "two_calls", marks=pytest.mark.tensorflow) for kind in KINDS),
    ],
)
def test_training_equals_that_with_all_logits(kind: str, forward: str, calls: list[int]) -> None:
    a, b = plain(kind), headed(kind)
    same_start(a, b)
    metrics = ["accuracy"]
    expected = train(a, forward=forward, metrics=metrics)
    assert not calls
    assert_same_training(expected, train(b, forward=forward, metrics=metrics))
    assert set(calls) == {2}


@pytest.mark.one_backend
def test_shared_prefix_and_heads_go_together(calls: list[int]) -> None:
    a, b = plain("own_bias"), headed("own_bias")
    same_start(a, b)
    expected = train(a, forward="two_calls")
    assert_same_training(expected, train(b, forward="shared_prefix"))
    assert calls


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", [{"passes": 3}, {"every": 2}, {"normalize": "paper"}])
def test_options_of_the_training(options: dict[str, Any], calls: list[int]) -> None:
    a, b = plain("own"), headed("own")
    same_start(a, b)
    assert_same_training(train(a, **options), train(b, **options))
    assert set(calls) == ({1, 2} if "every" in options else {options.get("passes", 2)})


@pytest.mark.one_backend
@pytest.mark.parametrize("kind", ["own", "tied"])
def test_masks_reach_the_loss_and_the_metrics(kind: str, calls: list[int]) -> None:
    a, b = plain(kind, mask_zero=True), headed(kind, mask_zero=True)
    same_start(a, b)
    metrics = [keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="m")]
    expected = train(a, metrics=metrics)
    assert_same_training(expected, train(b, metrics=metrics))
    assert calls


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(6,), (6, LENGTH)])
def test_sample_weights_reach_the_loss(shape: tuple[int, ...], calls: list[int]) -> None:
    a, b = plain("own"), headed("own")
    same_start(a, b)
    weight = np.random.default_rng(0).uniform(size=shape).astype("float32")
    weight[1] = 0
    assert_same_training(train(a, sample_weight=weight), train(b, sample_weight=weight))
    assert calls


@pytest.mark.tensorflow
def test_ignore_class(calls: list[int]) -> None:
    a, b = plain("own"), headed("own")
    same_start(a, b)
    loss = SPARSE(from_logits=True, ignore_class=0)
    assert_same_training(train(a, loss=loss), train(b, loss=loss))
    assert calls


@pytest.mark.tensorflow
@pytest.mark.parametrize("divergence", ["jensen_shannon", "kl_forward"])
def test_another_divergence_gets_all_logits(divergence: str, calls: list[int]) -> None:
    a, b = plain("own"), headed("own")
    same_start(a, b)
    assert_same_training(train(a, divergence=divergence), train(b, divergence=divergence))
    assert not calls


@pytest.mark.one_backend
def test_a_reversible_embedding_is_known(calls: list[int]) -> None:
    a, b = plain("tied"), headed("reversible")
    same_start(a, b)
    assert_same_training(train(a), train(b))
    assert calls


@pytest.mark.tensorflow
def test_an_untied_reversible_embedding_is_known(calls: list[int]) -> None:
    inputs = keras.Input((LENGTH,), dtype="int32")
    embedding = layers.ReversibleEmbedding(VOCABULARY, WIDTH, tie_weights=False)
    hidden = layers.Dropout(0.3, seed=1)(embedding(inputs))
    b = keras.Model(inputs, embedding(hidden, reverse=True))
    inputs = keras.Input((LENGTH,), dtype="int32")
    hidden = layers.Dropout(0.3, seed=1)(layers.Embedding(VOCABULARY, WIDTH)(inputs))
    a = keras.Model(inputs, layers.Dense(VOCABULARY, use_bias=False)(hidden))
    same_start(a, b)
    assert_same_training(train(a), train(b))
    assert calls


@pytest.mark.tensorflow
def test_soft_capped_logits_are_left_alone(calls: list[int]) -> None:
    inputs = keras.Input((LENGTH,), dtype="int32")
    embedding = layers.ReversibleEmbedding(VOCABULARY, WIDTH, logit_soft_cap=3.0)
    hidden = layers.Dropout(0.3, seed=1)(embedding(inputs))
    model = keras.Model(inputs, embedding(hidden, reverse=True))
    train(model)
    assert not calls
    assert RDropModel(model).vocabulary_heads.names == []


@pytest.mark.parametrize("forward", ["two_calls", "concat"])
def test_a_subclassed_model(forward: str, calls: list[int]) -> None:
    a, b = Subclassed(layers.Dense(VOCABULARY, use_bias=False)), Subclassed()
    x, _ = tokens()
    a(x), b(x)
    same_start(a, b)
    assert_same_training(train(a, forward=forward), train(b, forward=forward))
    assert set(calls) == {2}


@pytest.mark.one_backend
def test_a_sequential_model_that_is_not_built(calls: list[int]) -> None:
    def sequential(make_head: Any) -> keras.Model:
        keras.utils.set_random_seed(0)  # the weights are made when training begins
        first = layers.Embedding(VOCABULARY, WIDTH)
        return keras.Sequential([first, layers.Dropout(0.3, seed=1), make_head()])

    expected = train(sequential(lambda: layers.Dense(VOCABULARY, use_bias=False)))
    assert_same_training(expected, train(sequential(lambda: VocabularyHead(VOCABULARY))))
    assert calls


@pytest.mark.parametrize("use", ["z_loss", "second_output", "capped"])
def test_logits_may_be_used_inside_of_a_model(use: str, calls: list[int]) -> None:
    a = Subclassed(layers.Dense(VOCABULARY, use_bias=False), use)
    b = Subclassed(use=use)
    x, y = tokens()
    a(x), b(x)
    same_start(a, b)
    results = []
    for model in (a, b):
        rdrop = RDropModel(model, alpha=2.0)
        losses, labels = [SPARSE(from_logits=True), "mse"], [y, np.ones(y.shape, "float32")]
        outputs = 2 if use == "second_output" else 1
        rdrop.compile(keras.optimizers.SGD(0.3), losses if outputs == 2 else losses[0])
        target = labels if outputs == 2 else y
        history = rdrop.fit(x, target, batch_size=3, shuffle=False, verbose=0).history
        results.append((model.get_weights(), history))
    assert_same_training(*results)
    # Capped, they are what comes out: nothing is known of a head.
    assert bool(calls) == (use != "capped")


@pytest.mark.one_backend
def test_a_subclassed_model_that_is_not_built(calls: list[int]) -> None:
    results = []
    for kind, options in ((layers.Dense, {"use_bias": False}), (VocabularyHead, {})):
        keras.utils.set_random_seed(0)  # the weights are made when training begins
        results.append(train(Subclassed(kind(VOCABULARY, **options))))
    assert_same_training(*results)
    assert calls


@pytest.mark.one_backend
def test_an_outer_model_may_use_the_logits_of_a_nested_one(calls: list[int]) -> None:
    results = []
    for make in (plain, headed):
        inner = make("own")
        x = keras.Input((LENGTH,), dtype="int32")
        logits = inner(x)
        model = keras.Model(x, [logits, keras.ops.logsumexp(logits, axis=-1)])
        results.append(model)
    same_start(*results)
    x, y = tokens()
    trained = []
    for model in results:
        rdrop = RDropModel(model, alpha=2.0, forward="two_calls")
        rdrop.compile(keras.optimizers.SGD(0.3), [SPARSE(from_logits=True), "mse"])
        labels = [y, np.ones(y.shape, "float32")]
        history = rdrop.fit(x, labels, batch_size=3, shuffle=False, verbose=0).history
        trained.append((model.get_weights(), history))
    assert_same_training(*trained)
    assert calls


@pytest.mark.one_backend
def test_a_head_in_the_middle_is_an_ordinary_layer(calls: list[int]) -> None:
    models = []
    for middle in (layers.Dense(VOCABULARY, use_bias=False), VocabularyHead(VOCABULARY)):
        inputs, hidden, _ = trunk()
        last = layers.Activation("softsign")
        models.append(keras.Model(inputs, last(middle(hidden))))
    same_start(*models)
    assert_same_training(train(models[0]), train(models[1]))
    assert not calls


@pytest.mark.tensorflow
def test_two_outputs_one_of_them_the_hidden_states(calls: list[int]) -> None:
    inputs, hidden, _ = trunk()
    a_out = [layers.Dense(VOCABULARY, use_bias=False, name="words")(hidden), hidden]
    a = keras.Model(inputs, a_out)
    inputs, hidden, _ = trunk()
    b = keras.Model(inputs, [VocabularyHead(VOCABULARY, name="words")(hidden), hidden])
    same_start(a, b)

    def fit(model: keras.Model) -> Any:
        rdrop = RDropModel(model, alpha=1.0)
        rdrop.compile(keras.optimizers.SGD(0.3), [SPARSE(from_logits=True), "mse"])
        x, y = tokens()
        z = np.zeros((*y.shape, WIDTH), "float32")
        history = rdrop.fit(x, [y, z], batch_size=3, epochs=1, shuffle=False, verbose=0).history
        return model.get_weights(), history

    assert_same_training(fit(a), fit(b))
    assert calls


def test_the_compiled_step_and_evaluation(calls: list[int]) -> None:
    if keras.backend.backend() == "torch":
        pytest.skip("Torch compiles nothing here")
    a, b = plain("own"), headed("own")
    same_start(a, b)
    assert_same_training(train(a, jit_compile=True), train(b, jit_compile=True))
    assert calls
    x, y = tokens()
    results = []
    for model in (a, b):
        rdrop = RDropModel(model)
        rdrop.compile("sgd", SPARSE(from_logits=True), metrics=["accuracy"])
        results.append(rdrop.evaluate(x, y, verbose=0))
        np.testing.assert_allclose(rdrop.predict(x, verbose=0), model(x), atol=1e-6)
    np.testing.assert_allclose(*results, rtol=1e-5)


@pytest.mark.tensorflow
def test_mixed_precision_trains(calls: list[int]) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        a, b = plain("own_bias"), headed("own_bias")
    finally:
        keras.config.set_dtype_policy("float32")
    same_start(a, b)
    assert_same_training(train(a), train(b), tolerance=0.03)
    assert calls


@pytest.mark.tensorflow
@pytest.mark.parametrize("metrics", [None, ["accuracy"]])
def test_no_logits_of_a_whole_batch_are_made(metrics: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is shown to metrics: the first pass of both steps."""
    made: list[Any] = []
    original = Projection.logits

    def counted(self: Projection, hidden: Any) -> Any:
        made.append(hidden)
        return original(self, hidden)

    monkeypatch.setattr(Projection, "logits", counted)
    train(headed("own"), metrics=metrics)
    assert len(made) == (2 if metrics else 0)


@pytest.mark.parametrize("metrics", [None, ["accuracy"]])
def test_a_compiled_step_leaves_out_logits_that_lead_to_nothing(
    metrics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a model without a graph too: only what is shown to metrics is ever computed."""
    if keras.backend.backend() == "torch":
        pytest.skip("Torch compiles nothing here")
    made: list[Any] = []
    original = Projection.logits

    def counted(self: Projection, hidden: Any) -> Any:
        return noting(made, original(self, hidden))

    model = Subclassed()
    model(tokens()[0])
    monkeypatch.setattr(Projection, "logits", counted)
    train(model, metrics=metrics, jit_compile=keras.backend.backend() == "jax")
    assert len(made) == (2 if metrics else 0)


def noting(made: list[Any], logits: Any) -> Any:
    """Notes that logits are really computed; a compiled program may leave it out with them."""

    def note(x: Any) -> Any:
        made.append(np.shape(x))
        return np.asarray(x)

    if keras.backend.backend() == "jax":
        import jax

        like = jax.ShapeDtypeStruct(logits.shape, logits.dtype)
        return jax.pure_callback(note, like, jax.lax.stop_gradient(logits))
    import tensorflow as tf

    noted = tf.numpy_function(note, [logits], logits.dtype, stateful=False)
    return tf.ensure_shape(noted, logits.shape)


@pytest.mark.one_backend
def test_saving_keeps_a_tie(tmp_path: Any) -> None:
    model = headed("tied_bias")
    rdrop = RDropModel(model)
    rdrop.compile("sgd", SPARSE(from_logits=True))
    x, y = tokens()
    rdrop.fit(x, y, verbose=0)
    rdrop.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(x), again.model(x))
    head = next(v for v in again.model.layers if isinstance(v, VocabularyHead))
    assert head.tied_to is again.model.get_layer("embedding")
    assert len(again.model.trainable_weights) == len(model.trainable_weights)


@pytest.mark.tensorflow
def test_gpt2_and_bart_are_known_by_themselves(calls: list[int]) -> None:
    hub = pytest.importorskip("keras_hub")
    sizes = {"vocabulary_size": VOCABULARY, "num_layers": 1, "num_heads": 2, "hidden_dim": WIDTH}
    gpt2 = hub.models.GPT2CausalLM(
        hub.models.GPT2Backbone(**sizes, intermediate_dim=8, max_sequence_length=LENGTH)
    )
    bart = hub.models.BartSeq2SeqLM(
        hub.models.BartBackbone(**sizes, intermediate_dim=8, max_sequence_length=LENGTH)
    )
    x, y = tokens()
    mask = x != 0
    inputs = {
        gpt2: {"token_ids": x, "padding_mask": mask},
        bart: {
            f"{side}_{name}": value
            for side in ("encoder", "decoder")
            for name, value in (("token_ids", x), ("padding_mask", mask))
        },
    }
    for task, batch in inputs.items():
        same = keras.Model(task.input, layers.Activation("linear")(task.output))
        start, ends = task.get_weights(), []
        for model in (same, task):
            keras.utils.set_random_seed(0)
            task.set_weights(start)
            _restart_noise(task)
            # One call of a model that takes long to trace.
            whole = keras.Model(model.input, model.output)
            rdrop = RDropModel(whole, alpha=2.0, forward="concat")
            rdrop.compile(keras.optimizers.SGD(0.1), SPARSE(from_logits=True))
            before = len(calls)
            rdrop.fit(batch, y, sample_weight=mask, batch_size=3, shuffle=False, verbose=0)
            assert (len(calls) > before) == (model is task)
            ends.append(task.get_weights())
        for a, b in zip(*ends, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)
        assert any(np.any(a != c) for a, c in zip(ends[0], start, strict=True))


def _restart_noise(model: keras.Model) -> None:
    from rdrop_tf.models.seeds import seed_states

    for i, state in enumerate(seed_states(model)):
        state.assign(np.array([i, 0], dtype=str(state.dtype)))


@pytest.mark.tensorflow
def test_two_replicas_train_as_one_device(mirrored: Any) -> None:
    import tensorflow as tf

    def trained(strategy: Any) -> Any:
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = headed("tied_bias", rate=0.0)
            rdrop = RDropModel(model, alpha=2.0)
            rdrop.compile(keras.optimizers.SGD(0.3, clipnorm=0.5), SPARSE(from_logits=True))
        x, y = tokens(11)
        weight = (x != 0).astype("float32")
        weight[3] = 0.5
        data = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(4)
        with pytest.warns(UserWarning, match="No noise"):
            history = rdrop.fit(data, epochs=2, shuffle=False, verbose=0).history
        return model.get_weights(), history

    one = trained(tf.distribute.get_strategy())
    assert_same_training(one, trained(mirrored))


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_a_model_that_is_quantized_afterwards_and_compiled_again(calls: list[int]) -> None:
    """The heads that were known before are not those of the quantized model."""
    model = headed("reversible")
    train(model)
    assert calls
    calls.clear()
    rdrop = RDropModel(model, alpha=2.0)
    rdrop.compile(keras.optimizers.SGD(0.0), SPARSE(from_logits=True))
    x, y = tokens()
    rdrop.fit(x, y, epochs=1, verbose=0)
    calls.clear()
    model.quantize("int8")
    rdrop.compile(keras.optimizers.SGD(0.0), SPARSE(from_logits=True))
    trained = rdrop.fit(x, y, epochs=1, verbose=0).history["ce"][0]
    assert trained == pytest.approx(rdrop.evaluate(x, y, verbose=0)[0], rel=0.05)
    assert not calls


@pytest.mark.tensorflow
@pytest.mark.parametrize("called", ["by position", "by name"])
def test_a_regulariser_of_an_embedding_that_only_the_head_uses(
    called: str, calls: list[int]
) -> None:
    models = []
    for kind in (TiedDense, lambda embedding: VocabularyHead(tied_to=embedding)):
        inputs, hidden, _ = trunk()
        embedding = layers.Embedding(VOCABULARY, WIDTH, embeddings_regularizer="l2")
        embedding.build()
        head = kind(embedding)
        outputs = (
            head(hidden) if called == "by position" or kind is TiedDense else head(inputs=hidden)
        )
        models.append(keras.Model(inputs, outputs))
    same_start(*models)
    assert_same_training(train(models[0]), train(models[1]))
    assert calls


@pytest.mark.tensorflow
def test_a_user_s_own_metrics_get_logits() -> None:
    """Also where the function is set on the model itself, not on its class."""
    rdrop = RDropModel(headed("own"), alpha=2.0)
    seen: list[int] = []
    original = rdrop.compute_metrics

    def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        seen.append(y_pred.shape[-1])
        return original(x, y, y_pred, sample_weight)

    rdrop.compute_metrics = compute_metrics
    rdrop.compile("sgd", SPARSE(from_logits=True), run_eagerly=True)
    x, y = tokens()
    rdrop.fit(x, y, batch_size=3, verbose=0)
    assert set(seen) == {VOCABULARY}


@pytest.mark.tensorflow
def test_a_regulariser_of_an_embedding_used_before_the_head_too_counts_once(
    calls: list[int],
) -> None:
    models = []
    for kind in (TiedDense, lambda embedding: VocabularyHead(tied_to=embedding)):
        inputs = keras.Input((LENGTH,), dtype="int32")
        embedding = layers.Embedding(VOCABULARY, WIDTH, embeddings_regularizer="l2")
        hidden = layers.Dropout(0.3, seed=1)(embedding(inputs))
        models.append(keras.Model(inputs, kind(embedding)(hidden)))
    same_start(*models)
    assert_same_training(train(models[0]), train(models[1]))
    assert calls
