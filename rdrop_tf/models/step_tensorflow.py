"""The training step on TensorFlow, exact under `tf.distribute`.

Keras divides a loss by the replica's own count and then by the number of replicas; that is
the global mean only where all replicas hold the same number of valid positions. Here local
sums are divided by global denominators, and gradients are summed over the replicas before
anything looks at their size (clipping, overflow check).
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import keras
from keras import tree

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.models.replica_gradients import apply_summed, dense
from rdrop_tf.models.seeds import seed_states
from rdrop_tf.models.strategy import worker_count
from rdrop_tf.models.traced_steps import TracedSteps
from rdrop_tf.models.training_step import (
    StepLoss,
    figures,
    leave_out_unless,
    log_gradient_norm,
    log_terms,
    step_loss,
)

if TYPE_CHECKING:
    _Base = Any
else:
    _Base = object

# `tf.random.fold_in` puts its number into the counter that every draw moves on by one: with
# neighbouring numbers one replica's second pass would repeat the next one's first.
_DRAWS_A_STEP = 2**20


class TensorFlowStep(_Base):
    """`train_step` and `test_step` for RDropModel on the TensorFlow backend."""

    train_function: Any
    test_function: Any
    predict_function: Any

    @cached_property
    def _traced_steps(self) -> TracedSteps:
        return TracedSteps()

    def train_step(self, data: Nested) -> dict[str, Tensor]:
        """Takes one optimizer step; returns the logs."""
        self._traces += 1.0 / _replicas().count
        self._traced_steps.note()
        if self.one_pass and self._is_alone and not self._looks_at_gradients:
            return dict(super().train_step(data))
        if self.one_pass or self.every == 1:
            self._step(data, 1 if self.one_pass else self.passes)
        else:
            self._step_by_turns(data)
        return self._logs_of_step()

    def test_step(self, data: Nested) -> dict[str, Tensor]:
        """Evaluates one batch with one pass and the plain task loss."""
        self._traced_steps.note()
        if _replicas().count == 1:
            logs = dict(super().test_step(data))
        else:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            loss = self._loss(x, y, sample_weight, passes=1, training=False)
            self._log(loss)
            self.compute_metrics(x, y, loss.prediction, sample_weight)
            logs = self._logs_of_step()
        logs.pop("kl", None)
        return logs

    def predict_step(self, data: Nested) -> Nested:
        """Predicts one batch with one pass."""
        self._traced_steps.note()
        return super().predict_step(data)

    @property
    def _is_alone(self) -> bool:
        """Whether there is no strategy; one with a single replica still needs its own ways."""
        return self._distribute_strategy is None

    def _step_by_turns(self, data: Nested) -> None:
        """Chooses between two passes and one by the optimizer's step.

        The branches update mirrored variables, which TensorFlow allows only if the branch is
        taken outside of the replicas.
        """
        import tensorflow as tf

        def choose(strategy: Any, data: Nested) -> None:
            def run(passes: int) -> None:
                strategy.extended.call_for_each_replica(self._step, args=(data, passes))

            # A variable, or a tensor where gradients are accumulated.
            updates = getattr(self.optimizer.iterations, "value", self.optimizer.iterations)
            turn = tf.equal(tf.math.floormod(updates, self.every), 0)
            tf.cond(turn, lambda: run(self.passes), lambda: run(1))

        tf.distribute.get_replica_context().merge_call(choose, args=(data,))

    def _step(self, data: Nested, passes: int) -> None:
        import tensorflow as tf

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        before = figures(self) if self.skips_non_finite else {}
        with _OwnNoise(self), tf.GradientTape() as tape:
            loss = self._loss(x, y, sample_weight, passes=passes)
            scaled = self.optimizer.scale_loss(loss.total)
        variables = self.trainable_weights  # read now: the first call may have built them
        gradients = _summed(tape.gradient(scaled, variables))
        if self.log_gradient_norm:
            log_gradient_norm(self, [dense(g) for g in gradients])
        if self._is_alone:
            self.optimizer.apply(gradients, variables)
        else:
            apply_summed(self.optimizer, gradients, variables)
        self._log(loss)
        self.compute_metrics(x, y, loss.prediction, sample_weight)
        if self.skips_non_finite:
            is_taken = self.optimizer.check_finite(gradients)
            leave_out_unless(self, is_taken, before, loss.one_of_replicas)

    def _loss(
        self, x: Nested, y: Nested, sample_weight: Nested, passes: int, training: bool = True
    ) -> StepLoss:
        replicas = _replicas()
        return step_loss(
            self, x, y, sample_weight, passes=passes, replicas=replicas, training=training
        )

    def _log(self, loss: StepLoss) -> None:
        """Logs values of the global batch, on every replica with its number of rows."""
        shares = [loss.total, loss.task]
        if loss.divergence is not None:
            shares.append(loss.divergence)
        total, task, *divergence = _replicas().sum(shares)
        log_terms(self, loss, total, task, divergence[0] if divergence else None)

    def _logs_of_step(self) -> dict[str, Tensor]:
        """Returns the running values of all metrics over all replicas, on each of them."""
        import tensorflow as tf

        replicas = _replicas()
        # As TensorFlow reads them elsewhere, in `evaluate` for one: each by its own aggregation.
        variables = [v for v in self.metrics_variables if v.aggregation in ("sum", "mean")]
        if replicas.count == 1 or not variables:
            return dict(self.get_metrics_result())
        mapping = []
        for dtype in dict.fromkeys(str(v.dtype) for v in variables):  # one sum is of one dtype
            alike = [v for v in variables if str(v.dtype) == dtype]
            for variable, total in zip(
                alike, replicas.sum([tf.identity(v.value) for v in alike]), strict=True
            ):
                is_mean = variable.aggregation == "mean"
                mean = tf.cast(total / replicas.count, total.dtype) if is_mean else total
                mapping.append((variable, mean))
        with keras.StatelessScope(state_mapping=mapping):
            return dict(self.get_metrics_result())

    def make_train_function(self, force: bool = False) -> Any:
        """Makes what `fit` calls with its iterator."""
        if self.train_function is None or force:
            if worker_count(self) == 1:
                super().make_train_function(force)
            else:
                self.train_function = self._function_of_workers(self.train_step)
            self.train_function = self._traced_steps.letting_go(self.train_function)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """Makes what `evaluate` calls with its iterator."""
        if self.test_function is None or force:
            if worker_count(self) == 1:
                super().make_test_function(force)
            else:
                self.test_function = self._function_of_workers(self.test_step)
            self.test_function = self._traced_steps.letting_go(self.test_function)
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Any:
        """Makes what `predict` calls with its batches."""
        if self.predict_function is None or force:
            super().make_predict_function(force)
            self.predict_function = self._traced_steps.letting_go(self.predict_function)
        return self.predict_function

    def _function_of_workers(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """Runs a step on all replicas; the logs, the same on each of them, are the first's.

        Keras means them over the workers, one collective for each and an axis they have not.
        """
        import tensorflow as tf

        strategy = self._distribute_strategy

        def run(data: Nested) -> dict[str, Tensor]:
            logs = strategy.run(step, args=(data,))
            return {k: strategy.experimental_local_results(v)[0] for k, v in logs.items()}

        compiled = run if self.run_eagerly else tf.function(run, reduce_retracing=True)
        return lambda iterator: compiled(next(iterator))

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Nested = None) -> None:
        """Builds from the first replica's batch.

        Keras averages the first batch over the replicas instead, which fails for an uneven
        one and for dtypes without a mean. It also looks at a batch where all is built already,
        which with one `fit` an epoch reads each epoch's first batches twice.
        """
        import tensorflow as tf

        strategy = self._distribute_strategy
        if strategy is None or _is_built(self):
            return
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            data_batch = tf.nest.map_structure(
                lambda v: strategy.experimental_local_results(v)[0], next(batches)
            )
        with strategy.scope():
            if any(isinstance(leaf, tf.RaggedTensor) for leaf in tf.nest.flatten(data_batch)):
                # Without values Keras knows no length of theirs, not even the padded one.
                self(data_batch[0])
            self._symbolic_build(data_batch=data_batch)


def _is_built(model: keras.Model) -> bool:
    """Whether a compiled model has made all that it makes of its first batch."""
    parts = [
        *model._flatten_layers(),
        model._compile_metrics,
        model._compile_loss,
        model.optimizer,
    ]
    return all(part.built for part in parts if part is not None)


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

    def sum(self, x: Any) -> Any:
        if self.count == 1:
            return x
        return self._context.all_reduce("SUM", tree.map_structure(self._placed, x))

    def _placed(self, x: Tensor) -> Tensor:
        """Puts a tensor on its device: TensorFlow cannot reduce one that is on none.

        Such are those of a worker with one replica.
        """
        import tensorflow as tf

        devices = self._context.strategy.extended.worker_devices
        if len(devices) > 1:
            return x
        with tf.device(devices[0]):
            return tf.nest.map_structure(tf.identity, x, expand_composites=True)


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
