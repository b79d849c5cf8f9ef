"""A model with a SavedModel is saved, reloaded without the folder, and exported."""

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rdrop_tf import RDropModel
from rdrop_tf.layers import SavedModelLayer
from rdrop_tf.layers.saved_model_files import copy_files, fingerprint, saved_model_sha256
from tests.layers import saved_models
from tests.layers.test_saved_model import (
    compiled,
    id_classifier,
    same_weights,
    strings,
    text_classifier,
)

pytestmark = pytest.mark.tensorflow


@keras.saving.register_keras_serializable(package="tests.layers")
class Subclassed(keras.Model):
    """Takes the encoder, so that its config brings it."""

    def __init__(self, encoder: keras.layers.Layer, **options: Any) -> None:
        super().__init__(**options)
        self.encoder = encoder
        self.head = layers.Dense(saved_models.CLASSES, name="head")

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.head(self.encoder(inputs, training=training))

    def get_config(self) -> dict[str, Any]:
        encoder = keras.saving.serialize_keras_object(self.encoder)
        return {**super().get_config(), "encoder": encoder}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Subclassed":
        config["encoder"] = keras.saving.deserialize_keras_object(config["encoder"])
        return cls(**config)


def trained(folder: str) -> RDropModel:
    rdrop = compiled(RDropModel(text_classifier(folder)))
    rdrop.fit(*strings(saved_models.texts()), batch_size=8, verbose=0)
    return rdrop


def load(file: Path) -> Any:
    """A SavedModel is a program, which is loaded from a file that is trusted only."""
    return keras.saving.load_model(file, safe_mode=False)


FRESH = """
import json, sys
import keras, numpy as np, tensorflow as tf
import rdrop_tf
model = keras.saving.load_model(sys.argv[1], safe_mode=False)
texts = tf.constant(json.loads(sys.argv[2]))
print(json.dumps(model.predict(texts, verbose=0).tolist()))
"""


def test_a_fresh_process_predicts_the_same_without_the_folder(tmp_path: Path) -> None:
    import json

    folder = saved_models.text_encoder(tmp_path / "text")
    rdrop, file = trained(folder), tmp_path / "model.keras"
    rdrop.save(file)
    shutil.rmtree(folder)
    x = saved_models.texts()[0]
    command = [sys.executable, "-c", FRESH, str(file), json.dumps(x.tolist())]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_array_equal(
        np.float32(found), rdrop.predict(strings(saved_models.texts())[0], verbose=0)
    )


@pytest.mark.parametrize("folder_is", ["gone", "there"])
def test_training_goes_on_from_a_file(tmp_path: Path, folder_is: str) -> None:
    """The SavedModel keeps the seed of its dropout: the file's next step is the next step."""
    folder = saved_models.keras_module(tmp_path / "encoder", saved_models.keras_encoder())
    rdrop = compiled(RDropModel(id_classifier(SavedModelLayer(folder, name="saved"))))
    data = saved_models.ids(8)
    rdrop.fit(*data, batch_size=8, verbose=0)
    rdrop.save(tmp_path / "model.keras")
    if folder_is == "gone":
        shutil.rmtree(folder)
    loaded = load(tmp_path / "model.keras")
    same_weights(loaded.model, rdrop.model)
    for one in (rdrop, loaded):
        one.fit(*data, batch_size=8, verbose=0)
    same_weights(loaded.model, rdrop.model)


def test_a_folder_that_has_changed_is_left_alone(tmp_path: Path) -> None:
    folder = saved_models.text_encoder(tmp_path / "text")
    model, x = text_classifier(folder), strings(saved_models.texts())[0]
    model.save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    saved_models.noise(Path(folder))
    loaded = load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


def test_a_reloaded_model_is_saved_and_exported_again(tmp_path: Path) -> None:
    import tensorflow as tf

    folder = saved_models.text_encoder(tmp_path / "text")
    x = strings(saved_models.texts())[0]
    model = text_classifier(folder)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "one.keras")
    shutil.rmtree(folder)
    for source, target in (("one", "two"), ("two", "three")):
        model = load(tmp_path / f"{source}.keras")
        model.save(tmp_path / f"{target}.keras")
    gc.collect()  # frees the first of them, in whose folder the second found its files
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    model.export(tmp_path / "served", verbose=False)
    del model
    gc.collect()
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(x), expected, rtol=1e-6)


def test_a_subclassed_model_is_saved_and_reloaded(tmp_path: Path) -> None:
    folder = saved_models.text_encoder(tmp_path / "text")
    rdrop = compiled(RDropModel(Subclassed(SavedModelLayer(folder, name="saved"))))
    x, y = strings(saved_models.texts())
    assert rdrop.fit(x, y, batch_size=8, verbose=0).history["kl"][0] > 1e-4
    rdrop.save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    loaded = load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), rdrop.predict(x, verbose=0))


def test_a_frozen_layer_is_reloaded_frozen_and_can_be_thawed(tmp_path: Path) -> None:
    folder = saved_models.text_encoder(tmp_path / "text")
    text_classifier(folder, trainable=False).save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    loaded = load(tmp_path / "model.keras")
    assert len(loaded.trainable_variables) == 2
    loaded.get_layer("saved").trainable = True
    assert len(loaded.trainable_variables) == 4


def test_a_model_is_reloaded_under_two_replicas(tmp_path: Path, mirrored: Any) -> None:
    folder = saved_models.text_encoder(tmp_path / "text")
    x, y = strings(saved_models.texts(8))
    model = text_classifier(folder)
    model.save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    with mirrored.scope():
        loaded = compiled(RDropModel(load(tmp_path / "model.keras")))
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    assert loaded.fit(x, y, verbose=0).history["kl"][0] > 1e-4


class Writer:
    """Makes a SavedModel that writes a file when it is called."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self.trace, self.folder = folder / "trace", folder / "writer"
        trace = str(self.trace)

        class Module(tf.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = tf.Variable(1.0)

            @tf.function
            def __call__(self, x: Any, training: bool = False) -> Any:
                tf.io.write_file(trace, "run")
                return x * self.scale

        saved_models.save_module(Module(), self.folder, tf.TensorSpec([None, None]))


@pytest.mark.parametrize("folder_is", ["gone", "there"])
def test_safe_mode_refuses_the_program_of_a_file(tmp_path: Path, folder_is: str) -> None:
    writer = Writer(tmp_path)
    x = keras.Input((4,))
    model = keras.Model(x, SavedModelLayer(str(writer.folder))(x))
    model.save(tmp_path / "model.keras")
    if folder_is == "gone":
        shutil.rmtree(writer.folder)
    text = r"safe mode runs no program .*with safe_mode=False or call keras.config.enable_unsafe_d"
    for unsafe in (
        lambda: keras.saving.load_model(tmp_path / "model.keras"),
        lambda: keras.models.model_from_json(model.to_json()),
        lambda: keras.Model.from_config(model.get_config()),
    ):
        with pytest.raises(ValueError, match=text):
            unsafe()
    writer.trace.unlink(missing_ok=True)
    load(tmp_path / "model.keras")(np.ones((1, 4), "float32"))
    assert writer.trace.exists(), "so this is what was refused"


def test_it_is_allowed_for_the_whole_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text_classifier(saved_models.text_encoder(tmp_path / "text")).save(tmp_path / "model.keras")
    # What `keras.config.enable_unsafe_deserialization` does, and can't be undone.
    state = keras.src.backend.common.global_state
    monkeypatch.setattr(state.GLOBAL_STATE_TRACKER, "safe_mode_saving", False, raising=False)
    keras.saving.load_model(tmp_path / "model.keras")


def test_clones_and_weights_files_are_those_of_any_layer(tmp_path: Path) -> None:
    model = text_classifier(saved_models.text_encoder(tmp_path / "text"))
    compiled(model).fit(*strings(saved_models.texts()), batch_size=8, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    clone = keras.models.clone_model(model)
    clone.load_weights(tmp_path / "model.weights.h5")
    same_weights(clone, model)
    assert clone.get_layer("saved").variables[0] is not model.get_layer("saved").variables[0]


def test_a_config_without_files_says_what_it_lacks(tmp_path: Path) -> None:
    folder = saved_models.text_encoder(tmp_path / "text")
    model = text_classifier(folder)
    shutil.rmtree(folder)
    clone = keras.models.clone_model(model)
    with pytest.raises(ValueError, match=r"needs its SavedModel's files.*no files for 'saved'"):
        clone(strings(saved_models.texts())[0])


def test_saving_says_that_the_folder_is_gone(tmp_path: Path) -> None:
    folder = saved_models.text_encoder(tmp_path / "text")
    model = text_classifier(folder)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match=r"must still be there.*text', which is gone"):
        model.save(tmp_path / "model.keras")


def test_only_what_belongs_to_the_saved_model_is_copied(tmp_path: Path) -> None:
    folder = Path(saved_models.text_encoder(tmp_path / "text"))
    (folder / "model.ckpt").write_text("training left this here")
    (tmp_path / "copy").mkdir()
    copy_files(folder, tmp_path / "copy")
    copied = {p.name for p in (tmp_path / "copy").iterdir()}
    assert copied == {"saved_model.pb", "fingerprint.pb", "variables", "assets"}
    assert fingerprint(tmp_path / "copy") == fingerprint(folder)


def test_the_fingerprint_sees_a_changed_vocabulary(tmp_path: Path) -> None:
    folder = Path(saved_models.text_encoder(tmp_path / "text"))
    before = fingerprint(folder)
    (asset,) = (folder / "assets").iterdir()
    asset.write_text("\n".join(reversed(saved_models.WORDS)))
    assert fingerprint(folder) != before


def test_temporary_folders_go_with_their_layer(tmp_path: Path) -> None:
    layer = SavedModelLayer(saved_models.noise(tmp_path / "noise", "global seed"))
    freed = layer._program._files.path
    assert freed != tmp_path / "noise"
    assert freed.exists()
    del layer
    keras.backend.clear_session()
    import gc

    gc.collect()
    assert not freed.exists()


def test_one_that_was_meant_is_taken_and_keeps_its_sha256(tmp_path: Path) -> None:
    folder = saved_models.text_encoder(tmp_path / "encoder")
    digest = saved_model_sha256(Path(folder))
    layer = SavedModelLayer(folder, sha256=digest.upper())
    assert SavedModelLayer.from_config(layer.get_config()).sha256 == digest.upper()
    (tmp_path / "encoder" / "variables" / "variables.index").write_bytes(b"others")
    with pytest.raises(ValueError, match=f"and {digest} was given"):
        SavedModelLayer(folder, sha256=digest)


def test_what_is_no_sha256_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"SHA-256 must be 64 hexadecimal .*Received: 'xyz'"):
        SavedModelLayer(str(tmp_path / "not looked for"), sha256="xyz")


def test_a_saved_model_without_its_variables(tmp_path: Path) -> None:
    folder = saved_models.noise(tmp_path / "noise")
    shutil.rmtree(Path(folder) / "variables")
    with pytest.raises(OSError, match=rf"must be whole: .*Received: '{folder}', .*; copy or downl"):
        SavedModelLayer(folder)
