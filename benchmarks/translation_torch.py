"""The Transformer of `benchmarks.translation` in PyTorch, in a process of its own.

    python benchmarks/translation_torch.py BATCHES.npz SETTINGS THREADS

A process, because TensorFlow and PyTorch in one fight over the cores, and because PyTorch may be
installed for another interpreter. SETTINGS is json: the sizes of the model, `label_smoothing`
and the alphas. It prints a line when it is ready, then for each line it reads, an alpha, the
milliseconds of one step, so that its steps can take turns with others. Needs torch and numpy.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

PAD_ID = 0
SIDES = ("source", "target", "labels")


class Translator(nn.Module):
    """PyTorch's own layers, with the embedding, positions and dropout of `rdrop_tf`'s."""

    def __init__(
        self, vocabulary: int, layers: int, width: int, hidden: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=PAD_ID)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.dropout = nn.Dropout(dropout)

        def block(kind: Any) -> Any:
            return on_sublayers_only(kind(width, heads, hidden, dropout, batch_first=True))

        self.encoder = nn.ModuleList(block(nn.TransformerEncoderLayer) for _ in range(layers))
        self.decoder = nn.ModuleList(block(nn.TransformerDecoderLayer) for _ in range(layers))

    def forward(self, source: Any, target: Any) -> Any:
        padding = source.eq(PAD_ID)
        states, x = self.embed(source), self.embed(target)
        for layer in self.encoder:
            states = layer(states, src_key_padding_mask=padding)
        causal = torch.ones(2 * (target.shape[1],), dtype=torch.bool).triu(1)
        for layer in self.decoder:
            x = layer(
                x, states, causal, memory_key_padding_mask=padding, tgt_is_causal=True
            )  # padded targets come last: no token sees them
        return functional.linear(x, self.embedding.weight)

    def embed(self, tokens: Any) -> Any:
        width = self.embedding.embedding_dim
        x = self.embedding(tokens) * math.sqrt(width)
        return self.dropout(x + sinusoids(tokens.shape[1], width))


def on_sublayers_only(layer: Any) -> Any:
    """Turns off the dropout of attention weights and inside the feed-forward sublayer."""
    layer.dropout.p = 0.0
    for attention in (layer.self_attn, getattr(layer, "multihead_attn", None)):
        if attention is not None:
            attention.dropout = 0.0
    return layer


def sinusoids(length: int, width: int) -> Any:
    """Returns sines and cosines of positions."""
    half = width // 2
    waves = torch.exp(-math.log(10000.0) / max(half - 1, 1) * torch.arange(half))
    angles = torch.arange(length)[:, None] * waves
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def official(logits: Any, labels: Any, alpha: float, smoothing: float) -> Any:
    """The loss of the official translation code, times a half, a mean over the tokens.

    Written out from its criterion: fairseq's label-smoothed negative log-likelihood of all rows,
    and half the sum of both directions of the KL, each from `kl_div` without reduction, padding
    filled with 0. `logits` are those of both passes below one another; with alpha 0 of one pass.
    """
    passes = logits.shape[0] // labels.shape[0]
    log_probabilities = functional.log_softmax(logits, dim=-1)
    targets = torch.cat([labels] * passes)[..., None]
    padding = targets.eq(PAD_ID)
    nll = -log_probabilities.gather(-1, targets).masked_fill(padding, 0.0).sum()
    smooth = -log_probabilities.sum(-1, keepdim=True).masked_fill(padding, 0.0).sum()
    loss = (1 - smoothing) * nll + smoothing / logits.shape[-1] * smooth
    if alpha:
        padding = labels.eq(PAD_ID)[..., None]
        p, q = torch.split(log_probabilities, labels.shape[0])
        p_only, q_only = torch.split(functional.softmax(logits, dim=-1), labels.shape[0])
        forward = functional.kl_div(p, q_only, reduction="none").masked_fill_(padding, 0.0)
        backward = functional.kl_div(q, p_only, reduction="none").masked_fill_(padding, 0.0)
        loss = loss + alpha * (forward.sum() + backward.sum()) / 2
    return loss / (passes * labels.ne(PAD_ID).sum())


def stepper(
    model: Any, batches: list[tuple[Any, ...]], alpha: float, smoothing: float
) -> Callable[[], float]:
    """One optimizer step on the next batch, as a function that returns its milliseconds."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    data: Iterator[tuple[Any, ...]] = cycle(batches)
    model.train()

    def once() -> float:
        start = time.perf_counter()
        source, target, labels = next(data)
        if alpha:
            source, target = torch.cat([source, source]), torch.cat([target, target])
        optimizer.zero_grad()
        official(model(source, target), labels, alpha, smoothing).backward()
        optimizer.step()
        return (time.perf_counter() - start) * 1000

    return once


def read_batches(path: str) -> list[tuple[Any, ...]]:
    with np.load(path) as kept:
        count = len(kept.files) // len(SIDES)
        return [
            tuple(torch.from_numpy(kept[f"{side}_{i}"].astype("int64")) for side in SIDES)
            for i in range(count)
        ]


def main() -> None:
    path, words, threads = sys.argv[1:4]
    settings = json.loads(words)
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    batches = read_batches(path)
    ways = {
        f"{alpha:g}": stepper(
            Translator(**settings["sizes"]), batches, alpha, settings["label_smoothing"]
        )
        for alpha in settings["alphas"]
    }
    print(torch.__version__, flush=True)
    for line in sys.stdin:
        print(ways[line.strip()](), flush=True)


if __name__ == "__main__":
    main()
