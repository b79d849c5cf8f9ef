"""Batches of token ids for training and evaluation."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import keras
import numpy as np
from numpy.typing import NDArray

from rdrop_tf.data import EpochData
from rdrop_tf.text.batch_plan import PlannedBatch, padding_share, plan_batches
from rdrop_tf.text.buckets import BUCKETS, Bucket, assign, choose_buckets, too_long
from rdrop_tf.text.fitting_model import check_ids, check_lengths_of
from rdrop_tf.text.parallel_text import ParallelText
from rdrop_tf.text.special_ids import END_ID, PAD_ID, START_ID
from rdrop_tf.text.subwords import Subwords

Rows = Sequence[Sequence[int]]
Batch = tuple[dict[str, NDArray[np.int32]], NDArray[np.int32], NDArray[np.float32]]


class Fill(NamedTuple):
    """How well the batches of an epoch are filled.

    Attributes:
        target_tokens: Target tokens, those at the ends included, no padding.
        padding_share: Share of the source and target tokens that are padding.
    """

    target_tokens: int
    padding_share: float


class TokenBatches(keras.utils.PyDataset, EpochData):
    """Batches of few shapes, each at most so many tokens; for `fit` on every backend.

    A batch is ({"source", "target"}, labels, sample_weight):

        source         int32 (rows, s)      tokens, end, padding
        target         int32 (rows, t)      start, tokens, padding
        labels         int32 (rows, t)      tokens, end, padding
        sample_weight  float32 (rows, t)    1 where labels are no padding, else 0

    Rows that fill up the last batch of a bucket are padding throughout, with weight 0.

    The order of an epoch is a function of (seed, epoch); give `fit` its `shuffle=False`, as by
    default Keras draws the order of these batches anew. When `fit` has read all batches of an
    epoch, the next one follows; `move_to` goes to any batch of any epoch without making those
    before it.

    With `redraw`, each epoch encodes the texts anew (BPE dropout). The shapes stay the same:
    they are chosen for the lengths of both the plain rows and those of epoch 0. A pair that is
    too long for all of them in some epoch keeps its plain rows in it, so nothing is ever cut.

    Args:
        source: Token ids of the texts, without start and end.
        target: Token ids of their translations.
        tokens: Source and target tokens of a batch are at most so many each, with padding.
        buckets: The most shapes of batches, or the shapes. Where XLA compiles the step (JAX, and
            TensorFlow on a GPU) each is a compilation; elsewhere all are one trace.
        seed: Of all epochs' orders.
        epoch: The epoch to begin with.
        shuffle: Whether to draw the order.
        redraw: Of an epoch's number, token ids of all pairs to use in it; None keeps `source`
            and `target`.
        **kwargs: `workers` (threads) and `max_queue_size` of `keras.utils.PyDataset`.

    Raises:
        ValueError: If there is no pair, the sides have different numbers of texts, a pair is
            longer than `tokens` (with its end), a number is below its least value, or other
            processes are to make the batches.

    Example:
    >>> batches = TokenBatches([[5, 6, 7], [5]], [[8, 9], [8]], tokens=8, buckets=1)
    >>> inputs, labels, weights = batches[0]
    >>> inputs["source"].shape, inputs["target"].shape
    ((2, 4), (2, 3))
    >>> sorted(labels.tolist())
    [[8, 2, 0], [8, 9, 2]]
    """

    def __init__(
        self,
        source: Rows,
        target: Rows,
        *,
        tokens: int,
        buckets: int | Sequence[Bucket] = BUCKETS,
        seed: int = 0,
        epoch: int = 0,
        shuffle: bool = True,
        redraw: Callable[[int], tuple[Rows, Rows]] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("use_multiprocessing"):
            raise ValueError(
                "batches must be made in this process, which moves on when all are read. Received: "
                "use_multiprocessing=True: leave it out, `workers` are threads then"
            )
        super().__init__(**kwargs)
        self._plain = (_arrays(source), _arrays(target))
        self._tokens, self._seed, self._shuffle = tokens, seed, shuffle
        self._redraw = redraw
        # How many ids there are; None for as many as the rows need.
        self._vocabularies: tuple[int, int] | None = None
        # Of one epoch, shared with the copies that `rest` makes: to draw takes seconds.
        self._drawn: dict[int, _Both] = {}
        self.buckets = self._choose(buckets) if isinstance(buckets, int) else tuple(buckets)
        self.move_to(epoch)

    def facts(self) -> dict[str, Any]:
        """Returns what the batches follow from."""
        rows = len(self._plain[0])
        step = max(1, rows // 32)
        some = [np.concatenate([*side[::step], side[-1]]) for side in self._plain]
        return {
            "tokens": self._tokens,
            "buckets": [list(bucket) for bucket in self.buckets],
            "seed": self._seed,
            "shuffle": self._shuffle,
            "rows": rows,
            "some pairs": [crc32(ids.astype(np.int64).tobytes()) for ids in some],
        }

    @classmethod
    def from_text(
        cls,
        text: ParallelText,
        source_subwords: Subwords,
        target_subwords: Subwords,
        *,
        rows: tuple[Rows, Rows] | None = None,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> "TokenBatches":
        """Makes batches of texts.

        Args:
            text: The pairs.
            source_subwords: The vocabulary of the sources.
            target_subwords: The vocabulary of the targets; may be the same object.
            rows: The token ids of both sides without dropout, where they are known already.
            dropout: See `Subwords.encode`; above 0 each epoch has its own segmentation, a
                function of (seed, epoch).
            seed: Of the segmentations and the order.
            **kwargs: The other arguments of `TokenBatches`.

        Returns:
            The batches.

        Raises:
            ValueError: As `TokenBatches` and `Subwords.encode` do.
        """
        sides = ((source_subwords, text.source), (target_subwords, text.target))

        def redraw(epoch: int) -> tuple[Rows, Rows]:
            seeds = np.random.SeedSequence([seed, epoch]).generate_state(2)
            source, target = (
                subwords.encode(lines, dropout=dropout, seed=int(own))
                for (subwords, lines), own in zip(sides, seeds, strict=True)
            )
            return source, target

        plain = rows or [subwords.encode(lines) for subwords, lines in sides]
        _check_each(text, plain, kwargs.get("tokens", math.inf))
        made = cls(*plain, seed=seed, redraw=redraw if dropout else None, **kwargs)
        made._vocabularies = (source_subwords.size, target_subwords.size)
        return made

    @property
    def epoch(self) -> int:
        """Number of the epoch that is being read."""
        return self._epoch

    def check_model(self, model: Any) -> None:
        """Raises unless a model has ids and positions for all tokens."""
        check_ids(model, self._vocabularies or _ids_of(self._plain))
        check_lengths_of(model, self.buckets)

    @property
    def plan(self) -> list[PlannedBatch]:
        """The batches of this epoch, those before the one moved to included."""
        return self._plan

    def fill(self, epoch: int) -> Fill:
        """Returns how well the batches of an epoch are filled."""
        rows = self._rows_of(epoch)
        lengths = _lengths(rows)
        plan = self._plan if epoch == self._epoch else self._plan_of(rows, epoch)
        return Fill(int(lengths[1].sum()), padding_share(plan, *lengths))

    def move_to(self, epoch: int, batch: int = 0) -> None:
        """Goes to a batch: it is number 0 until the epoch's end, and what is left is the length.

        With TensorFlow, `fit` takes what is left of an epoch from `tf_dataset`.

        Args:
            epoch: Number of the epoch.
            batch: Number of the batch in it.

        Raises:
            ValueError: If there is no such epoch or batch.
        """
        if epoch < 0:
            raise ValueError(f"`epoch` must be at least 0. Received: epoch={epoch!r}")
        self._rows = self._rows_of(epoch)
        self._plan = self._plan_of(self._rows, epoch)
        if not 0 <= batch < len(self._plan):
            raise ValueError(
                f"`batch` must be at least 0 and below the {len(self._plan)} batches of epoch "
                f"{epoch}. Received: batch={batch!r}"
            )
        self._epoch, self._first = epoch, batch
        self._begun, self._unread = False, set(range(len(self)))

    def batches(self, epoch: int) -> int:
        """Returns how many batches an epoch has."""
        return len(self._plan_of(self._rows_of(epoch), epoch))

    def rest(self, epoch: int, batch: int = 0) -> Any:
        """Returns what `fit` takes: the batches of an epoch from number `batch` on."""
        others = copy.copy(self)
        others.move_to(epoch, batch)
        return others.tf_dataset() if keras.backend.backend() == "tensorflow" else others

    def __len__(self) -> int:
        return len(self._plan) - self._first

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        self._unread.discard(index)
        return _batch(self._rows, self._plan[self._first + index])

    def on_epoch_begin(self) -> None:
        """Notes that an epoch begins.

        With `workers` above 1 Keras has read some of its batches by now: they count.
        """
        self._begun = True

    def on_epoch_end(self) -> None:
        """Moves to the start of the next epoch, if this one has been read.

        Keras also calls this before the first epoch, some backends after a first look at a
        batch; then nothing moves.
        """
        if self._begun and not self._unread:
            self.move_to(self._epoch + 1)
        self._begun, self._unread = False, set(range(len(self)))

    def tf_dataset(self) -> Any:
        """Returns what is left of this epoch as a `tf.data.Dataset` whose lengths may vary.

        `fit` on the batches themselves takes the shapes from the first two of them, which after
        `move_to` within an epoch may be alike.
        """
        import tensorflow as tf

        matrix = tf.TensorSpec((None, None), tf.int32)
        signature = ({"source": matrix, "target": matrix}, matrix)
        weights = tf.TensorSpec((None, None), tf.float32)
        # What is read is this epoch's, whatever the batches have moved to by then.
        rows, plan = self._rows, self._plan[self._first :]
        return (
            tf.data.Dataset.from_generator(
                lambda: (_batch(rows, planned) for planned in plan),
                output_signature=(*signature, weights),
            )
            .apply(tf.data.experimental.assert_cardinality(len(plan)))
            .prefetch(tf.data.AUTOTUNE)
        )

    def _choose(self, number: int) -> tuple[Bucket, ...]:
        plain = _lengths(self._plain)
        if self._redraw is None:
            return choose_buckets(*plain, tokens=self._tokens, buckets=number)
        choose_buckets(*plain, tokens=self._tokens, buckets=1)  # refuses plain rows too long
        drawn = _lengths(_both(self._redraw(0)))
        fits = drawn.max(axis=0) <= self._tokens
        # With the plain rows at the end, whose largest shape must be there for them to fit.
        lengths = np.concatenate(
            [np.where(fits, drawn, plain), plain.max(axis=1, keepdims=True)], axis=1
        )
        return choose_buckets(*lengths, tokens=self._tokens, buckets=number)

    def _plan_of(self, rows: "_Both", epoch: int) -> list[PlannedBatch]:
        return plan_batches(
            *_lengths(rows),
            tokens=self._tokens,
            buckets=self.buckets,
            seed=self._seed,
            epoch=epoch,
            shuffle=self._shuffle,
        )

    def _rows_of(self, epoch: int) -> "_Both":
        if self._redraw is None:
            return self._plain
        if epoch not in self._drawn:
            self._drawn.clear()
            self._drawn[epoch] = self._draw(_both(self._redraw(epoch)))
        return self._drawn[epoch]

    def _draw(self, drawn: "_Both") -> "_Both":
        outside = assign(_lengths(drawn), self.buckets) < 0
        source, target = (
            [plain if out else own for plain, own, out in zip(*sides, outside, strict=True)]
            for sides in zip(self._plain, drawn, strict=True)
        )
        return source, target


_Both = tuple[list[NDArray[np.int32]], list[NDArray[np.int32]]]


def _arrays(rows: Rows) -> list[NDArray[np.int32]]:
    return [np.asarray(row, dtype=np.int32) for row in rows]


def _both(sides: tuple[Rows, Rows]) -> _Both:
    return _arrays(sides[0]), _arrays(sides[1])


def _lengths(rows: _Both) -> NDArray[np.int64]:
    """Counts tokens with the one id that is added to each row."""
    if len(rows[0]) != len(rows[1]):
        raise ValueError(
            f"both sides must have equally many texts; got {len(rows[0])} and {len(rows[1])}"
        )
    return np.array([[len(row) + 1 for row in side] for side in rows], dtype=np.int64)


def _ids_of(rows: _Both) -> tuple[int, int]:
    """Counts the ids that the tokens of both sides need, those at the ends included."""
    source, target = (max(END_ID, int(np.concatenate(side).max(initial=0))) + 1 for side in rows)
    return source, target


def _check_each(text: ParallelText, rows: Sequence[Rows], tokens: float) -> None:
    """Raises where a pair fits in no batch, with its file and line."""
    for number, pair in enumerate(zip(*rows, strict=True)):
        lengths = np.array([len(row) + 1 for row in pair])
        if lengths.max() > tokens:
            raise too_long(text.place(number), lengths, int(tokens))


def _batch(rows: _Both, planned: PlannedBatch) -> Batch:
    source, target = ([side[i] for i in planned.indices] for side in rows)
    source_shape = (planned.rows, planned.source_length)
    target_shape = (planned.rows, planned.target_length)
    labels = _padded([(*row, END_ID) for row in target], target_shape)
    inputs = {
        "source": _padded([(*row, END_ID) for row in source], source_shape),
        "target": _padded([(START_ID, *row) for row in target], target_shape),
    }
    return inputs, labels, (labels != PAD_ID).astype(np.float32)


def _padded(rows: Sequence[Any], shape: tuple[int, int]) -> NDArray[np.int32]:
    matrix = np.full(shape, PAD_ID, dtype=np.int32)
    for out, row in zip(matrix, rows, strict=False):
        out[: len(row)] = row
    return matrix
