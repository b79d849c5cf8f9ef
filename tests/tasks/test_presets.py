"""A preset's weights are those that were meant, or nothing reads them."""

import hashlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rdrop_tf._digests import list_sha256
from rdrop_tf.cli.main import main
from rdrop_tf.tasks.glue.encoders import RANDOM_TINY, load_classifier
from rdrop_tf.tasks.presets import WEIGHTS, load_preset, weights_file

pytestmark = pytest.mark.one_backend

BYTES = b"weights"
DIGEST = hashlib.sha256(BYTES).hexdigest()
OTHER = "0" * 64


@pytest.fixture(params=WEIGHTS)
def preset(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / request.param).write_bytes(BYTES)
    return str(tmp_path)


def test_the_right_ones_are_read(preset: str) -> None:
    for given in (DIGEST, DIGEST.upper(), None):
        assert load_preset(preset, lambda: "read", kind="a text encoder", sha256=given) == "read"


def test_others_are_not_read(preset: str) -> None:
    reads: list[str] = []
    with pytest.raises(ValueError, match=f"must have the SHA-256.*got {DIGEST}, and {OTHER} was"):
        load_preset(preset, lambda: reads.append(""), kind="a text encoder", sha256=OTHER)
    assert not reads


def test_a_preset_without_such_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a preset must be a text encoder's.*no file model\.wei"):
        load_preset(str(tmp_path), lambda: None, kind="a text encoder", sha256=DIGEST)


def test_weights_that_are_made_here_have_none() -> None:
    pytest.importorskip("keras_hub")
    settings: Any = {"outputs": 2, "sequence_length": 8, "preprocessor": None}
    with pytest.raises(ValueError, match=f"for {RANDOM_TINY}, whose weights are made here"):
        load_classifier(RANDOM_TINY, sha256=DIGEST, **settings)


@pytest.mark.parametrize(
    ("name", "handle"),
    [
        ("bert_base_en", "keras/bert/keras/bert_base_en"),
        ("kaggle://me/bert/keras/mine/2", "me/bert/keras/mine/2"),
    ],
)
def test_kaggle_is_asked_for_the_file_that_is_read(
    name: str, handle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("keras_hub")
    asked: list[tuple[str, str]] = []

    def model_download(handle: str, path: str) -> str:
        asked.append((handle, path))
        return str(tmp_path / path)

    (tmp_path / WEIGHTS[0]).write_bytes(BYTES)
    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(model_download=model_download))
    assert weights_file(name).read_bytes() == BYTES
    ((found, path),) = asked
    assert found.startswith(handle)
    assert path == WEIGHTS[0]


def test_hugging_face_is_asked_for_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    (tmp_path / WEIGHTS[1]).write_bytes(BYTES)

    def hf_hub_download(repository: str, name: str) -> str:
        assert repository == "me/bert"
        if name == WEIGHTS[0]:
            raise hub.errors.EntryNotFoundError("404")
        return str(tmp_path / name)

    monkeypatch.setattr(hub, "hf_hub_download", hf_hub_download)
    assert weights_file("hf://me/bert").read_bytes() == BYTES


def test_the_command_says_it_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["train", "mrpc-small", "--preset", str(tmp_path), "--sha256"]
    with pytest.raises(SystemExit, match="2"):
        main([*line, "abc"])
    assert "a SHA-256 must be 64 hexadecimal digits; got 'abc'" in capsys.readouterr().err
    assert main(["train", "digits", "--sha256", DIGEST, "--out", str(tmp_path / "run")]) == 2
    assert "--sha256 is for recipes with such a setting of their model" in capsys.readouterr().err


def test_the_digest_of_a_list_is_that_of_the_shell(tmp_path: Path) -> None:
    for name in ("b.pb", "variables/v2", "variables/deep/v 1", "checkpoint", "a"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    script = (
        "find b.pb variables a -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    )
    if sys.platform != "linux":
        pytest.skip("the shell's tools are those of Linux")
    said = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=True)
    assert list_sha256(tmp_path, ("b.pb", "variables", "assets", "a")) == said.stdout.decode()[:64]
