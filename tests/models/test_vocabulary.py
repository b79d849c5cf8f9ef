"""RDropModel on models that end in a vocabulary head: the same training, no logits."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf import RDropModel
from rdrop_tf.layers import VocabularyHead
from rdrop_tf.losses import linear_terms
from tests.models.language_models import (
    LENGTH,
    VOCABULARY,
    WIDTH,
    Subclassed,
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
    assert first[1].keys() == second[1].keys()
    for name, values in first[1].items():
        np.testing.assert_allclose(values, second[1][name], rtol=2e-5, atol=tolerance)


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
def test_masks_reach_the_loss(calls: list[int]) -> None:
    a, b = plain("tied", mask_zero=True), headed("tied", mask_zero=True)
    same_start(a, b)
    assert_same_training(train(a), train(b))
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


@pytest.mark.one_backend
def test_logits_that_are_changed_afterwards_are_refused() -> None:
    model = Subclassed(cap=True)
    model(tokens()[0])
    with pytest.raises(ValueError, match=r"VocabularyHead must be the last layer.*2 calls"):
        train(model)


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
def test_no_logits_of_a_whole_batch_are_made() -> None:
    """Every call of the projection that makes all logits belongs to what is shown to metrics."""
    from rdrop_tf.losses.projection import Projection

    made: list[Any] = []
    original = Projection.logits
    model = headed("own")

    def counted(self: Projection, hidden: Any) -> Any:
        made.append(hidden)
        return original(self, hidden)

    Projection.logits = counted  # type: ignore[method-assign]
    try:
        train(model)
    finally:
        Projection.logits = original  # type: ignore[method-assign]
    # One a trace: the first pass alone, pruned where no metric reads it.
    assert made
    assert {tuple(x.shape)[-1] for x in made} == {WIDTH}


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
