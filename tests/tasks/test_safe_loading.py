"""A run's folder may have come from anywhere: what is in it is read, and never run."""

import ast
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import rdrop_tf
from rdrop_tf.cli.main import main
from rdrop_tf.recipes import DIGITS
from rdrop_tf.tasks import predict, train

pytestmark = pytest.mark.one_backend

LINE = " ".join(["0"] * 64)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(replace(DIGITS, epochs=1), alpha=0.0, seed=0, folder=folder)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def rewrite(path: Path, change: Callable[[str, bytes], bytes], more: dict[str, bytes]) -> None:
    """Writes a .keras file anew with other contents."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (parts | more).items():
            archive.writestr(name, content)


def refused(
    run: Path,
    capsys: pytest.CaptureFixture[str],
    commands: Sequence[str] = ("predict", "evaluate"),
) -> str:
    """Returns what the commands say, in one line."""
    said = []
    for command in commands:
        assert main([command, str(run)]) == 1
        said.append(capsys.readouterr().err.splitlines())
    assert {len(lines) for lines in said} == {1}
    assert "a checkpoint must be a model that `rdrop train` wrote; got" in said[0][0]
    return said[0][0]


@pytest.fixture(autouse=True)
def _lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(LINE))


def test_an_honest_run_answers(run: Path) -> None:
    assert len(list(predict(run, [LINE]))) == 1


def test_code_in_a_lambda_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace"
    x = keras.Input((8, 8))
    evil = keras.layers.Lambda(lambda t, path=str(trace): Path(path).touch() or t)
    path = run / "checkpoints" / "last.keras"
    keras.Model(x, keras.layers.Dense(10)(keras.layers.Flatten()(evil(x)))).save(path)
    trace.unlink(missing_ok=True)  # written when the model was made
    assert "Lambda" in refused(run, capsys)
    assert not trace.exists()


@pytest.mark.tensorflow
def test_the_program_of_a_saved_model_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rdrop_tf.layers import SavedModelLayer
    from tests.layers.test_saved_model_files import Writer

    writer = Writer(tmp_path)
    x = keras.Input((8, 8, 1))
    program = SavedModelLayer(str(writer.folder))
    logits = keras.layers.Dense(10)(program(keras.layers.Flatten()(x)))
    keras.Model(x, logits).save(run / "checkpoints" / "last.keras")
    writer.trace.unlink(missing_ok=True)
    assert "a model with a SavedModelLayer, in safe mode" in refused(run, capsys)
    assert not writer.trace.exists()


def test_a_class_of_another_module_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name != "config.json":
            return content
        config = json.loads(content)
        other = {"module": "subprocess", "class_name": "Popen", "registered_name": "Popen"}
        return json.dumps(config | other).encode()

    rewrite(run / "checkpoints" / "last.keras", change, {})
    assert "Popen" in refused(run, capsys)


@pytest.mark.parametrize("name", ["../outside.txt", "a/../../outside", "absolute"])
def test_nothing_is_written_outside(
    run: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in run.parent.iterdir())
    name = str(run.parent / "outside") if name == "absolute" else name
    rewrite(run / "checkpoints" / "last.keras", lambda _, content: content, {name: b"x"})
    assert "invalid path" in refused(run, capsys)
    assert sorted(path.name for path in run.parent.iterdir()) == before
    assert not list(run.rglob("outside*"))


def test_weights_of_a_shape_that_is_not_in_the_file_are_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith(".weights.h5"):
            return content
        file = io.BytesIO(content)
        with h5py.File(file, "r+") as weights:
            largest = max(_datasets(weights), key=lambda name: weights[name].size)
            shape, chunks = (2_000_000, 1_000_000), (1000, 1000)
            del weights[largest]
            weights.create_dataset(largest, shape, "f4", chunks=chunks, compression="gzip")
        return file.getvalue()

    rewrite(run / "checkpoints" / "last.keras", change, {})
    assert refused(run, capsys)


def _datasets(group: Any) -> list[str]:
    names: list[str] = []
    group.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    return names


def test_a_layer_too_large_for_any_memory_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name != "config.json":
            return content
        x = keras.Input((8, 8))
        model = keras.Model(x, keras.layers.Dense(10, name="wide")(x))
        text = json.dumps(keras.saving.serialize_keras_object(model))
        return text.replace('"units": 10', f'"units": {10**14}').encode()

    rewrite(run / "checkpoints" / "last.keras", change, {})
    # TensorFlow tries for ten seconds to find so much memory: one command is enough.
    assert refused(run, capsys, ["predict"])


def test_a_file_that_is_no_model(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "checkpoints" / "last.keras").write_bytes(b"no zip")
    assert refused(run, capsys)


def test_a_pickle_in_a_checkpoint_of_a_training_is_refused(tmp_path: Path) -> None:
    """With the right checksum in its name, which anyone can work out."""
    import hashlib

    from rdrop_tf.training.checkpoint_store import Checkpoint, CheckpointStore

    store = CheckpointStore(tmp_path)
    store.write(Checkpoint(1, {"a": np.ones(2)}))
    (path,) = store.paths()
    file = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(file, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            if "a" in name and "facts" not in name:
                pickled = io.BytesIO()
                np.save(pickled, np.array([Path("x")], dtype=object), allow_pickle=True)
                content = pickled.getvalue()
            other.writestr(name, content)
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    old = next(part for part in path.stem.split("-") if len(part) >= 16)
    path.unlink()
    path.with_name(path.name.replace(old, digest[: len(old)])).write_bytes(file.getvalue())
    with pytest.raises(ValueError, match=r"(?i)pickle|object arrays"):
        store.newest()


def test_the_package_runs_nothing_that_lies_in_files() -> None:
    """No pickle, Lambda, custom_objects or unsafe mode in its code."""
    found = []
    for path in sorted(Path(rdrop_tf.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if _is_unsafe(node):
                found.append(f"{path.name}:{node.lineno}")  # type: ignore[attr-defined]
    assert found == []


def _is_unsafe(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = [name.name for name in node.names] + [getattr(node, "module", None) or ""]
        return bool({"pickle", "dill", "joblib", "marshal", "shelve"} & set(modules))
    if isinstance(node, ast.Attribute):
        return node.attr in ("Lambda", "enable_unsafe_deserialization")
    if isinstance(node, ast.keyword):
        is_true = isinstance(node.value, ast.Constant) and node.value.value is True
        is_false = isinstance(node.value, ast.Constant) and node.value.value is False
        return (node.arg == "allow_pickle" and is_true) or (node.arg == "safe_mode" and is_false)
    # A file of weights alone holds arrays; one of a whole model would hold code.
    text = str(node.value).removesuffix(".weights.h5") if isinstance(node, ast.Constant) else ""
    return text.endswith((".pkl", ".h5"))
