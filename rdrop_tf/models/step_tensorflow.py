"""The training step on TensorFlow, exact under `tf.distribute`.

Keras divides a loss by the replica's own count and then by the number of replicas; that is
the global mean only where all replicas hold the same number of valid positions. Here local
sums are divided by global denominators, and gradients are summed over the replicas before
anything looks at their size (clipping, overflow check).
"""

from typing import TYPE_CHECKING, Any

import keras
from keras import tree

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.models.seeds import seed_states
from rdrop_tf.models.training_step import StepLoss, log_gradient_norm, log_terms, step_loss

if TYPE_CHECKING:
    _Base = Any
else:
    _Base = object

# `tf.random.fold_in` puts its number into the counter that every draw moves on by one: with
# neighbouring numbers one replica's second pass would repeat the next one's first.
_DRAWS_A_STEP = 2**20


class TensorFlowStep(_Base):
    """`train_step` and `test_step` for RDropModel on the TensorFlow backend."""

    def train_step(self, data: Nested) -> dict[str, Tensor]:
        """Takes one optimizer step; returns the logs."""
        self._traces += 1.0 / _replicas().count
        if self.one_pass and _replicas().count == 1 and not self.log_gradient_norm:
            return dict(super().train_step(data))
        if self.one_pass or self.every == 1:
            self._step(data, 1 if self.one_pass else self.passes)
        else:
            self._step_by_turns(data)
        return dict(self.get_metrics_result())

    def test_step(self, data: Nested) -> dict[str, Tensor]:
        """Evaluates one batch with one pass and the plain task loss."""
        if _replicas().count == 1:
            logs = dict(super().test_step(data))
        else:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            loss = self._loss(x, y, sample_weight, passes=1, training=False)
            self._log(loss)
            logs = dict(self.compute_metrics(x, y, loss.prediction, sample_weight))
        logs.pop("kl", None)
        return logs

    def _step_by_turns(self, data: Nested) -> None:
        """Chooses between two passes and one by the optimizer's step.

        The branches update mirrored variables, which TensorFlow allows only if the branch is
        taken outside of the replicas.
        """
        import tensorflow as tf

        def choose(strategy: Any, data: Nested) -> None:
            def run(passes: int) -> None:
                strategy.extended.call_for_each_replica(self._step, args=(data, passes))

            turn = tf.equal(tf.math.floormod(self.optimizer.iterations.value, self.every), 0)
            tf.cond(turn, lambda: run(self.passes), lambda: run(1))

        tf.distribute.get_replica_context().merge_call(choose, args=(data,))

    def _step(self, data: Nested, passes: int) -> None:
        import tensorflow as tf

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with _OwnNoise(self), tf.GradientTape() as tape:
            loss = self._loss(x, y, sample_weight, passes=passes)
            scaled = self.optimizer.scale_loss(loss.total)
        variables = self.trainable_weights  # read now: the first call may have built them
        gradients = _summed(tape.gradient(scaled, variables))
        if self.log_gradient_norm:
            log_gradient_norm(self, [_dense(g) for g in gradients])
        self.optimizer.apply(_for_each_replica(self.optimizer, gradients), variables)
        self._log(loss)
        self.compute_metrics(x, y, loss.prediction, sample_weight)

    def _loss(
        self, x: Nested, y: Nested, sample_weight: Nested, passes: int, training: bool = True
    ) -> StepLoss:
        replicas = _replicas()
        return step_loss(
            self, x, y, sample_weight, passes=passes, replicas=replicas, training=training
        )

    def _log(self, loss: StepLoss) -> None:
        """Logs values of the global batch, on every replica with its number of rows."""
        replicas = _replicas()
        total, task = replicas.sum(loss.total), replicas.sum(loss.task)
        divergence = None if loss.divergence is None else replicas.sum(loss.divergence)
        self._loss_tracker.update_state(total, sample_weight=loss.rows)
        log_terms(self, loss, task, divergence)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Nested = None) -> None:
        """Builds from the first replica's batch.

        Keras averages the first batch over the replicas instead, which fails for an uneven
        one and for dtypes without a mean.
        """
        strategy = self._distribute_strategy
        if strategy is None:
            return
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            data_batch = tree.map_structure(
                lambda v: strategy.experimental_local_results(v)[0], next(batches)
            )
        with strategy.scope():
            self._symbolic_build(data_batch=data_batch)


class _TensorFlowReplicas:
    """The replicas of the running `tf.distribute` step."""

    def __init__(self, context: Any) -> None:
        self._context = context

    @property
    def count(self) -> int:
        return int(self._context.num_replicas_in_sync)

    @property
    def index(self) -> Tensor:
        return self._context.replica_id_in_sync_group

    def sum(self, x: Tensor) -> Tensor:
        return x if self.count == 1 else self._context.all_reduce("SUM", x)


def _replicas() -> _TensorFlowReplicas:
    import tensorflow as tf

    return _TensorFlowReplicas(tf.distribute.get_replica_context())


class _OwnNoise:
    """Lets every replica draw its own noise during a step.

    Seed states are mirrored: without this all replicas draw the same masks. Inside, each
    replica's state is a fold of the common state and its index; afterwards all states are
    common again, one step on.
    """

    def __init__(self, model: keras.Model) -> None:
        self._replicas = _replicas()
        self._states = seed_states(model) if self._replicas.count > 1 else []
        self._common: list[Tensor] = []

    def __enter__(self) -> None:
        import tensorflow as tf

        self._common = [tf.identity(v.value) for v in self._states]
        for variable, state in zip(self._states, self._common, strict=True):
            variable.assign(tf.random.fold_in(state, self._replicas.index * _DRAWS_A_STEP))

    def __exit__(self, *error: Any) -> None:
        import tensorflow as tf

        if error[0] is None:
            for variable, state in zip(self._states, self._common, strict=True):
                variable.assign(state + tf.constant([0, 1], state.dtype))


def _summed(gradients: list[Tensor]) -> list[Tensor]:
    """Sums gradients over the replicas."""
    replicas = _replicas()
    if replicas.count == 1:
        return gradients
    present = [g for g in gradients if g is not None]
    summed = iter(replicas.sum(present) if present else [])
    return [None if g is None else next(summed) for g in gradients]


def _for_each_replica(optimizer: Any, gradients: list[Tensor]) -> list[Tensor]:
    """Clips gradients that are summed over the replicas, and hands each replica its share.

    The optimizer clips what it gets and then sums over the replicas. Given 1/N of the
    clipped sum it has nothing left to clip, and its sum is the clipped sum.
    """
    replicas = _replicas()
    if replicas.count == 1:
        return gradients
    return [_times(g, 1.0 / replicas.count) for g in _clip(optimizer, gradients)]


def _dense(gradient: Tensor) -> Tensor:
    """Adds up the slices of an embedding's gradient, of which several may be of one row."""
    import tensorflow as tf

    return None if gradient is None else tf.convert_to_tensor(gradient)


def _clip(optimizer: Any, gradients: list[Tensor]) -> list[Tensor]:
    """Clips as the optimizer would, on gradients without the loss scale."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not any((inner.clipnorm, inner.global_clipnorm, inner.clipvalue)):
        return gradients
    scale = optimizer.dynamic_scale.value if inner is not optimizer else None
    if scale is not None:
        gradients = [_times(g, 1.0 / scale) for g in gradients]
    clipped = inner._clip_gradients(gradients)
    return clipped if scale is None else [_times(g, scale) for g in clipped]


def _times(gradient: Tensor, factor: Any) -> Tensor:
    import tensorflow as tf

    if gradient is None:
        return None
    if isinstance(gradient, tf.IndexedSlices):
        values = gradient.values * tf.cast(factor, gradient.values.dtype)
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return gradient * tf.cast(factor, gradient.dtype)
