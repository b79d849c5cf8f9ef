"""The training step on JAX: Keras' own, with the passes inside its stateless loss."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.models.replicas import OneReplica
from rdrop_tf.models.training_step import (
    leave_out_unless,
    log_gradient_norm,
    log_terms,
    step_loss,
)

if TYPE_CHECKING:
    _Base = Any
else:
    _Base = object

_State = tuple[Any, ...]


class JaxStep(_Base):
    """`train_step` and its loss for RDropModel on the JAX backend.

    A batch that is sharded over devices (`keras.distribution.DataParallel`) is one array
    here, so sums and counts are those of the global batch as they stand.
    """

    def train_step(self, state: _State, data: Nested) -> tuple[dict[str, Tensor], _State]:
        """Takes one optimizer step; returns the logs and the new state."""
        self._traces += 1.0
        if self.one_pass or self.every == 1:
            return self._keras_step(state, data, 1 if self.one_pass else self.passes)
        return self._step_by_turns(state, data)

    def test_step(self, state: _State, data: Nested) -> tuple[dict[str, Tensor], _State]:
        """Evaluates one batch with one pass and the plain task loss."""
        logs, state = super().test_step(state, data)
        logs = dict(logs)
        logs.pop("kl", None)
        return logs, state

    def _step_by_turns(self, state: _State, data: Nested) -> tuple[dict[str, Tensor], _State]:
        """Chooses between two passes and one by the optimizer's step."""
        import jax

        inner: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        updates = self._steps_taken(state) // (inner.gradient_accumulation_steps or 1)
        return jax.lax.cond(
            updates % self.every == 0,
            lambda state, data: self._keras_step(state, data, self.passes),
            lambda state, data: self._keras_step(state, data, 1),
            state,
            data,
        )

    def _steps_taken(self, state: _State) -> Tensor:
        """Counts the optimizer's steps, those that only accumulate included."""
        inner: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        places = [id(v) for v in self.optimizer.variables]
        return state[2][places.index(id(inner._iterations))]

    def _keras_step(
        self, state: _State, data: Nested, passes: int
    ) -> tuple[dict[str, Tensor], _State]:
        self._passes_of_step = passes
        take = self._step_with_norm if self.log_gradient_norm else super().train_step
        logs, after = take(state, data)
        if self.skips_non_finite:
            return self._without_step_left_out(state, after)
        return dict(logs), after

    def _without_step_left_out(
        self, before: _State, after: _State
    ) -> tuple[dict[str, Tensor], _State]:
        """Takes a step that the optimizer has left out out of the metrics."""
        is_taken = self._steps_taken(after) != self._steps_taken(before)
        *others, metrics = after
        mapping = list(zip(self.metrics_variables, metrics, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            held = (id(v) for v in self.metrics_variables)
            leave_out_unless(self, is_taken, dict(zip(held, before[3], strict=True)))
            logs = dict(self.get_metrics_result())
        metrics = [scope.get_current_value(v) for v in self.metrics_variables]
        return logs, (*others, metrics)

    def _step_with_norm(
        self, state: _State, data: Nested
    ) -> tuple[Mapping[str, Tensor], tuple[Any, ...]]:
        """What Keras' own step does, with a look at the gradients."""
        import jax

        trainable, non_trainable, optimizer_variables, metrics = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        differentiate = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        (_, (loss, prediction, non_trainable, metrics)), gradients = differentiate(
            trainable,
            non_trainable,
            metrics,
            x,
            y,
            sample_weight,
            training=True,
            optimizer_variables=optimizer_variables,
        )
        mapping = [
            *zip(self.metrics_variables, metrics, strict=True),
            *zip(self.optimizer.variables, optimizer_variables, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            log_gradient_norm(self, gradients)
        metrics = [scope.get_current_value(v) for v in self.metrics_variables]
        trainable, optimizer_variables = self.optimizer.stateless_apply(
            optimizer_variables, gradients, trainable
        )
        logs, metrics = self._update_metrics_variables(
            metrics, loss, x, y, prediction, sample_weight
        )
        return logs, (trainable, non_trainable, optimizer_variables, metrics)

    def compute_loss_and_updates(
        self,
        trainable_variables: list[Tensor],
        non_trainable_variables: list[Tensor],
        metrics_variables: list[Tensor],
        x: Nested,
        y: Nested,
        sample_weight: Nested,
        training: bool = False,
        optimizer_variables: list[Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """The function that Keras' step differentiates."""
        if not training or self.one_pass:
            return super().compute_loss_and_updates(
                trainable_variables,
                non_trainable_variables,
                metrics_variables,
                x,
                y,
                sample_weight,
                training=training,
                optimizer_variables=optimizer_variables,
            )
        mapping = [
            *zip(self.trainable_variables, trainable_variables, strict=True),
            *zip(self.non_trainable_variables, non_trainable_variables, strict=True),
            *zip(self.metrics_variables, metrics_variables, strict=True),
            *zip(self.optimizer.variables, optimizer_variables or [], strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            loss = step_loss(
                self, x, y, sample_weight, passes=self._passes_of_step, replicas=OneReplica()
            )
            log_terms(self, loss, loss.total, loss.task, loss.divergence, tracks_loss=False)
            scaled = self.optimizer.scale_loss(loss.total)
        state = [scope.get_current_value(v) for v in self.non_trainable_variables]
        metrics = [scope.get_current_value(v) for v in self.metrics_variables]
        return scaled, (loss.total, loss.prediction, state, metrics)
