"""Nothing stays silent: what `fit` looks at while it trains with R-Drop."""

import warnings
from typing import TYPE_CHECKING, Any

import keras

from rdrop_tf.losses.labels import rule
from rdrop_tf.models.draws import Draws, layers_with_generators, layers_with_own_noise

if TYPE_CHECKING:
    from rdrop_tf.models.rdrop_model import RDropModel

# Steps with a divergence of exactly 0 before it counts as staying there.
_PATIENCE = 10


class RDropWarning(UserWarning):
    """Training runs, but R-Drop cannot do what it is there for."""


class Watch(keras.callbacks.Callback):
    """Warns about frozen or lost noise and a divergence that stays 0; stops on bad labels.

    Reads the logs of the first steps only, so that later steps need not be waited for.
    """

    def __init__(self, rdrop: "RDropModel", draws: Draws, is_saved: bool = False) -> None:
        super().__init__()
        self._rdrop, self._draws, self._is_saved = rdrop, draws, is_saved
        self._done = rdrop.one_pass
        own_noise = layers_with_own_noise(rdrop.model)
        draws.fresh |= own_noise
        draws.raw |= own_noise
        if keras.backend.backend() == "torch":
            draws.fresh |= layers_with_generators(rdrop.model)
        self._steps = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the divergence of the first steps."""
        self._draws.listening = False
        if self._is_saved:
            self._is_saved = False
            self._warn_of_lost_noise()
        if self._done:
            return
        self._steps += 1
        self._warn_of_frozen_noise()
        self._look(logs or {}, last=self._steps >= _PATIENCE * self._rdrop.every)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the divergence of a short training, and at labels."""
        if not self._done:
            self._look(logs or {}, last=True)
        bad = float(self._rdrop.bad_labels_tracker.result())
        if bad > 0:
            raise ValueError(
                f"{rule('C')} Received: {bad:.0f} labels out of range in epoch {epoch + 1}"
            )

    def _look(self, logs: dict[str, Any], last: bool) -> None:
        self._done = float(logs.get("kl", 0.0)) != 0.0 or last
        if self._done and float(logs.get("kl", 0.0)) == 0.0:
            self._warn_of_zero()

    def _warn_of_lost_noise(self) -> None:
        # Beside layers there are initial weights, and pipelines that `fit` itself makes.
        names = ", ".join(repr(name) for name in sorted(self._draws.raw - {self._rdrop.name}))
        if names:
            _warn(
                f"Noise that cannot be saved: {names} draws by operations of TensorFlow, whose "
                "state nobody can read, so a training that goes on draws other noise than an "
                "unbroken one. Draw by keras.random, from a keras.random.SeedGenerator that the "
                "layer keeps."
            )

    def _warn_of_frozen_noise(self) -> None:
        if self._draws.frozen:
            names = ", ".join(repr(name) for name in sorted(self._draws.frozen))
            _warn(
                f"Frozen noise: {names} draws from an integer seed, which gives the same noise "
                "in both passes, so it adds nothing to the divergence. Keep a "
                "keras.random.SeedGenerator in the layer and pass that as `seed`."
            )
            self._draws.frozen, self._frozen_only = set(), not self._draws.fresh

    _frozen_only = False

    def _warn_of_zero(self) -> None:
        if self._frozen_only:
            return
        if not self._draws.fresh:
            _warn(
                f"No noise: the model '{self._rdrop.model.name}' has no active dropout or other "
                "random layer, so both passes agree, KL is 0, and R-Drop does nothing but cost "
                "time. Add keras.layers.Dropout (or raise the rates above 0), or set alpha=0."
            )
            return
        names = ", ".join(repr(name) for name in sorted(self._draws.fresh)[:5])
        _warn(
            f"KL stayed exactly 0 for the first {self._steps} steps although {names} draws "
            "noise: the noise does not reach the outputs. Look for a head that is saturated, "
            "constant or initialised to 0, or a stop_gradient of noise on the way."
        )


def _warn(text: str) -> None:
    warnings.warn(text, RDropWarning, stacklevel=2)
