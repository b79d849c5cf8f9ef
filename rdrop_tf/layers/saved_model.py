"""A SavedModel of TensorFlow, fine-tuned as a layer of a Keras model."""

import os
from pathlib import Path
from typing import Any

import keras

from rdrop_tf._digests import check_is_sha256, check_sha256
from rdrop_tf._keras import in_symbolic_scope
from rdrop_tf._typing import Nested
from rdrop_tf.layers.saved_model_checks import (
    check_backend,
    check_trainable,
    check_training,
    check_trusted,
)
from rdrop_tf.layers.saved_model_files import (
    copy_files,
    fingerprint,
    folder_of,
    is_same,
    keep_folder,
    saved_model_sha256,
)
from rdrop_tf.layers.saved_model_handle import resolve_handle
from rdrop_tf.layers.saved_model_program import Program
from rdrop_tf.layers.saved_model_specs import Calls, variable_of, variable_specs


@keras.saving.register_keras_serializable(package="rdrop_tf")
class SavedModelLayer(keras.layers.Layer):
    """Fine-tunes a TensorFlow 2 SavedModel as a layer of a Keras model, with its dropout.

    Its variables are weights of the layer. With `training=True` it runs the SavedModel's
    training function: dropout is active, every call draws new noise (the two passes of
    `RDropModel` differ, and so do replicas), and state such as BatchNorm statistics moves: in
    the first of two passes only, as that of Keras' layers does, and under several replicas to
    the mean of all. Losses that the SavedModel lists as `regularization_losses` are added.
    A frozen layer (`trainable=False`) always runs in inference mode.

    Seeds that were written into the SavedModel when it was exported (`tf.random.set_seed`,
    `seed=` arguments) are taken out as it is loaded: they would give both passes the same
    masks. Its noise does not follow `keras.utils.set_random_seed`, unless the SavedModel keeps
    the state of its noise in variables, as `tf.random.Generator` and Keras' dropout do.

    A model with this layer is saved as any other. The `.keras` file holds the SavedModel's
    files too and loads where the folder or the network is not at hand. A SavedModel is a
    program, so Keras' safe mode, its default, refuses such a file: load one that you trust with
    `keras.saving.load_model(path, safe_mode=False)`.

    Works on the TensorFlow backend. Under a `tf.distribute` strategy make the layer inside
    `strategy.scope()`, as every layer.

    Args:
        handle: A folder, a Kaggle handle (`owner/model/tensorFlow2/variation/version`, needs
            kagglehub) or an address that TF Hub resolves (needs tensorflow_hub).
        trainable: Whether to fine-tune the SavedModel.
        endpoint: Name of the SavedModel's function of one nest of inputs. A function with an
            argument `training` serves both modes.
        training_endpoint: Name of another function for training, as a Keras 3 export may have.
        sha256: What the SavedModel must have, for one that is downloaded: the SHA-256 of the
            list that `find saved_model.pb variables assets -type f | LC_ALL=C sort | xargs
            sha256sum` prints in its folder. None for any.
        deterministic: Accepts a SavedModel that computes the same in training and in
            inference. The noise must then come from other layers.
        name: Name of the layer.
        dtype: What float inputs are cast to; the SavedModel computes in its own types.

    Raises:
        ImportError: If the handle needs a package that is not installed.
        OSError: If the folder does not exist or holds no whole SavedModel, or a download fails.
        ValueError: On another backend; if `sha256` is none, or the SavedModel has another; if
            there is no such function; if the SavedModel has nothing to train or does not tell
            training from inference, and is to be trained.

    Example:
    >>> import keras, tempfile, tensorflow as tf
    >>> from rdrop_tf.layers import SavedModelLayer
    >>> class Encoder(tf.Module):
    ...     kernel = None
    ...     @tf.function
    ...     def __call__(self, x, training=False):
    ...         if self.kernel is None:
    ...             self.kernel = tf.Variable(tf.ones((4, 2)))
    ...         return tf.nn.dropout(x @ self.kernel, 0.5 if training else 0.0)
    >>> encoder, folder = Encoder(), tempfile.mkdtemp()
    >>> for training in (False, True):
    ...     trace = encoder.__call__.get_concrete_function(tf.TensorSpec((None, 4)), training)
    >>> tf.saved_model.save(encoder, folder)
    >>> x = keras.Input((4,))
    >>> model = keras.Model(x, keras.layers.Dense(3)(SavedModelLayer(folder)(x)))
    >>> len(model.trainable_variables)
    3
    """

    def __init__(
        self,
        handle: str | os.PathLike[str],
        *,
        trainable: bool = True,
        endpoint: str = "__call__",
        training_endpoint: str | None = None,
        sha256: str | None = None,
        deterministic: bool = False,
        name: str | None = None,
        dtype: Any = "float32",
        _saved: dict[str, Any] | None = None,
    ) -> None:
        check_backend()
        check_is_sha256(sha256)
        super().__init__(trainable=trainable, name=name, dtype=dtype)
        self.handle = os.fspath(handle)
        self.endpoint, self.training_endpoint = endpoint, training_endpoint
        self.sha256, self.deterministic = sha256, deterministic
        self._start(_saved)
        # Only now, so that Keras lists them among those that can be thawed.
        for view in self._views:
            view.trainable = view.trainable and trainable
        self.built = True

    def _start(self, saved: dict[str, Any] | None) -> None:
        self._program: Program | None = None
        self._calls = Calls(saved["calls"] if saved else [])
        if saved is None:
            self._open(self._checked(resolve_handle(self.handle)))
        elif is_same(Path(saved["folder"]), saved["fingerprint"]):
            self._open(Path(saved["folder"]))
        else:  # `load_assets` brings the files.
            self._folder, self._fingerprint = Path(saved["folder"]), saved["fingerprint"]
            with keras.name_scope(self.name):
                self._views = [variable_of(spec) for spec in saved["variables"]]
            self._positions = saved["positions"]

    def _checked(self, folder: Path) -> Path:
        if self.sha256 is not None:
            # Before anything in it is read.
            check_sha256(f"the SavedModel {self.handle!r}", saved_model_sha256(folder), self.sha256)
        return folder

    def _open(self, folder: Path, stand_ins: dict[int, keras.Variable] | None = None) -> None:
        keep_folder(self, folder)
        program = Program(folder, self.endpoint, self.training_endpoint, self.name, stand_ins)
        if self.trainable:
            check_trainable(program.views, self.handle)
            if not self.deterministic:
                check_training(program.functions, self.handle)
        self._folder, self._fingerprint = folder.resolve(), fingerprint(folder)
        self._program = program
        # Attributes of the layer itself, where Keras looks for weights and TensorFlow's export
        # for lookup tables.
        self._loaded = program.loaded
        if stand_ins is None:
            self._views, self._positions = program.views, program.positions

    @property
    def draws_noise(self) -> bool:
        """Whether the layer draws noise when it is called with `training=True`."""
        if self._program is None or not self.trainable:
            return False
        return self._program.functions.draws_noise

    def call(self, inputs: Nested, training: bool | None = None) -> Nested:
        """Calls the SavedModel; noise and state changes only with `training=True`."""
        known = self._calls.find(inputs) if in_symbolic_scope() else None
        if known is not None:
            return known
        program = self._opened()
        outputs = self._run(program, inputs, training=bool(training) and self.trainable)
        if in_symbolic_scope() or not self._calls.known:
            self._calls.note(inputs, outputs)
        return outputs

    def _run(self, program: Program, inputs: Nested, training: bool) -> Nested:
        functions = program.functions
        if training and not self.deterministic:
            check_training(functions, self.handle)
        if self.trainable:
            for loss in getattr(program.loaded, "regularization_losses", None) or []:
                self.add_loss(loss())
        function = functions.training if training and functions.training else functions.inference
        return function(inputs) if in_symbolic_scope() else program.state.run(function, inputs)

    def _opened(self) -> Program:
        if self._program is None:
            raise ValueError(
                "A SavedModelLayer that was made from a config needs its SavedModel's files. "
                f"Received: no files for '{self.name}', whose folder '{self._folder}' is gone or "
                "holds another SavedModel; load the whole model with keras.saving.load_model"
            )
        return self._program

    # Saving

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, and what is needed before the files are read."""
        return {
            **super().get_config(),
            "handle": self.handle,
            "endpoint": self.endpoint,
            "training_endpoint": self.training_endpoint,
            "sha256": self.sha256,
            "deterministic": self.deterministic,
            "saved": keras.saving.serialize_keras_object(
                {
                    "folder": str(self._folder),
                    "fingerprint": self._fingerprint,
                    "variables": variable_specs(self._views, self._trainable_variables),
                    "positions": list(self._positions),
                    "calls": self._calls.known,
                }
            ),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SavedModelLayer":
        """Opens the SavedModel if its folder is still there; else waits for saved files.

        Raises:
            ValueError: If a file is loaded in Keras' safe mode.
        """
        check_trusted()
        config = dict(config)
        saved = keras.saving.deserialize_keras_object(config.pop("saved"))
        return cls(**config, _saved=saved)

    def save_assets(self, path: str) -> None:
        """Saves the SavedModel's files with the model."""
        copy_files(self._folder, Path(path))

    def load_assets(self, path: str | None) -> None:
        """Opens the SavedModel from files that were saved with the model."""
        if self._program is None and path is not None:
            folder = folder_of(self)
            copy_files(Path(path), folder)
            self._open(folder, dict(zip(self._positions, self._views, strict=True)))
