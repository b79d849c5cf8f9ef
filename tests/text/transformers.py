"""Small Transformers, batches for them, and their forward pass written out in NumPy."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rdrop_tf.text import Transformer

SOURCE_IDS, TARGET_IDS, WIDTH, HEADS = 13, 11, 12, 3
Array = NDArray[Any]


def small(**options: Any) -> Transformer:
    """A Transformer of 2 + 1 layers with random weights everywhere, biases included."""
    target = None if options.get("share_embeddings", "all") == "all" else TARGET_IDS
    sizes = {"encoder_layers": 2, "decoder_layers": 1, "width": WIDTH, "hidden": 20}
    model = Transformer(SOURCE_IDS, target, **{**sizes, "heads": HEADS, **options})
    rng = np.random.default_rng(1)
    model.set_weights([w + 0.2 * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def batch(s: int = 6, t: int = 5) -> dict[str, Array]:
    """Three sentences of different lengths; ids 1 and above are tokens."""
    rng = np.random.default_rng(2)
    source = rng.integers(1, SOURCE_IDS, (3, s)).astype("int32")
    target = rng.integers(1, TARGET_IDS, (3, t)).astype("int32")
    source[1, 3:], source[2, 1:] = 0, 0
    target[1, 2:], target[2, 4:] = 0, 0
    return {"source": source, "target": target}


def logits_of(model: keras.Model, inputs: dict[str, Array], **options: Any) -> Array:
    """Calls a model and returns the logits as an array."""
    return np.asarray(keras.ops.convert_to_numpy(model(inputs, **options)))


def reference(model: Transformer, inputs: dict[str, Array], **options: str) -> Array:
    """Computes the logits in float64 from the formulas, one head and one query at a time."""
    weights = {
        v.path.split("/", 1)[1] if v.path.startswith(f"{model.name}/") else v.path: np.asarray(
            keras.ops.convert_to_numpy(v), "float64"
        )
        for v in model.weights
    }
    return _Reference(weights, **options).logits(inputs["source"], inputs["target"])


class _Reference:
    def __init__(
        self,
        weights: dict[str, Array],
        norm: str = "post",
        positions: str = "sinusoidal",
        share_embeddings: str = "all",
    ) -> None:
        self.w, self.norm, self.positions = weights, norm, positions
        self.share = share_embeddings

    def logits(self, source: Array, target: Array) -> Array:
        one_matrix = self.share == "all"
        of_source = self.w["embedding/embeddings" if one_matrix else "source_embedding/embeddings"]
        of_target = self.w["embedding/embeddings" if one_matrix else "target_embedding/embeddings"]
        head = self.w["logits/kernel"] if self.share == "none" else of_target.T
        rows = []
        for sentence, words in zip(source, target, strict=True):
            keep = sentence != 0
            x = self.embed(of_source, sentence, "source")
            for i in range(2):
                x = self.block(f"encoder_{i}", x, np.tile(keep, (len(x), 1)))
            states = self.last(x, "source")
            y = self.embed(of_target, words, "target")
            causal = np.tril(np.ones((len(y), len(y)), bool))
            cross = np.tile(keep, (len(y), 1))
            y = self.block("decoder_0", y, causal, states, cross)
            rows.append(self.last(y, "target") @ head)
        return np.stack(rows)

    def embed(self, matrix: Array, ids: Array, side: str) -> Array:
        x = matrix[ids] * np.sqrt(WIDTH)
        if self.positions == "learned":
            return x + self.w[f"{side}_positions/positions"][: len(ids)]
        half = WIDTH // 2
        for p in range(len(ids)):
            for i in range(half):
                angle = p / 10000 ** (i / (half - 1))
                x[p, i] += np.sin(angle)
                x[p, half + i] += np.cos(angle)
        return x

    def last(self, x: Array, side: str) -> Array:
        return self.layer_norm(f"{side}_norm", x) if self.norm == "pre" else x

    def layer_norm(self, path: str, x: Array) -> Array:
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        scaled = (x - mean) / np.sqrt(variance + 1e-5)
        return scaled * self.w[f"{path}/gamma"] + self.w[f"{path}/beta"]

    def block(
        self,
        path: str,
        x: Array,
        keep: Array,
        states: Array | None = None,
        keep_states: Array | None = None,
    ) -> Array:
        def self_attention(x: Array) -> Array:
            q, k, v = np.split(self.dense(f"{path}/self_attention/query_key_value", x), 3, axis=-1)
            return self.attention(f"{path}/self_attention", q, k, v, keep)

        def cross_attention(x: Array) -> Array:
            q = self.dense(f"{path}/cross_attention/query", x)
            k, v = np.split(self.dense(f"{path}/cross_attention/key_value", states), 2, axis=-1)
            return self.attention(f"{path}/cross_attention", q, k, v, keep_states)

        def feed_forward(x: Array) -> Array:
            y = np.maximum(self.dense(f"{path}/feed_forward/first", x), 0)
            return self.dense(f"{path}/feed_forward/second", y)

        x = self.residual(f"{path}/self_attention_sum", x, self_attention)
        if states is not None:
            x = self.residual(f"{path}/cross_attention_sum", x, cross_attention)
        return self.residual(f"{path}/feed_forward_sum", x, feed_forward)

    def residual(self, path: str, x: Array, sublayer: Any) -> Array:
        if self.norm == "pre":
            return x + sublayer(self.layer_norm(f"{path}/norm", x))
        return self.layer_norm(f"{path}/norm", x + sublayer(x))

    def dense(self, path: str, x: Any) -> Array:
        return x @ self.w[f"{path}/kernel"] + self.w[f"{path}/bias"]

    def attention(self, path: str, q: Array, k: Array, v: Array, keep: Any) -> Array:
        size, mixed = WIDTH // HEADS, np.zeros_like(q)
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            for i in range(len(q)):
                scores = k[keep[i]][:, part] @ q[i, part] / np.sqrt(size)
                weights = np.exp(scores - scores.max())
                mixed[i, part] = weights @ v[keep[i]][:, part] / weights.sum()
        return self.dense(f"{path}/output", mixed)
