"""The training step on Torch."""

from typing import TYPE_CHECKING, Any

import keras

from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.models.replicas import OneReplica
from rdrop_tf.models.training_step import (
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


class TorchStep(_Base):
    """`train_step` and `test_step` for RDropModel on the Torch backend."""

    def train_step(self, data: Nested) -> dict[str, Tensor]:
        """Takes one optimizer step; returns the logs."""
        self._traces += 1.0
        if self.one_pass and not self._looks_at_gradients:
            return dict(super().train_step(data))
        if self.one_pass:
            return self._step(data, 1)
        turn = int(self.optimizer.iterations) % self.every == 0
        return self._step(data, self.passes if turn else 1)

    def test_step(self, data: Nested) -> dict[str, Tensor]:
        """Evaluates one batch with one pass and the plain task loss."""
        logs = dict(super().test_step(data))
        logs.pop("kl", None)
        return logs

    def _step(self, data: Nested, passes: int) -> dict[str, Tensor]:
        import torch

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        before = figures(self) if self.skips_non_finite else {}
        self.zero_grad()
        loss = step_loss(self, x, y, sample_weight, passes=passes, replicas=OneReplica())
        self.optimizer.scale_loss(loss.total).backward()
        variables = list(self.trainable_weights)
        with torch.no_grad():
            gradients = [v.value.grad for v in variables]
            if self.log_gradient_norm:
                log_gradient_norm(self, gradients)
            self.optimizer.apply(gradients, variables)
            log_terms(self, loss, loss.total, loss.task, loss.divergence)
            logs = self.compute_metrics(x, y, loss.prediction, sample_weight)
            if self.skips_non_finite:
                leave_out_unless(self, self.optimizer.check_finite(gradients), before)
                logs = self.get_metrics_result()
        return dict(logs)
