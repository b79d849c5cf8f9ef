import logging
import os

import pytest

from rdrop_tf.cli import quiet


def test_what_is_written_inside_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet.stderr_held_back():
        os.write(2, b"chatter\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_an_error_brings_it_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError), quiet.stderr_held_back():
        _write_and_fail()
    assert capfd.readouterr().err == "chatter\n"


def _write_and_fail() -> None:
    os.write(2, b"chatter\n")
    raise ImportError


def test_tensorflows_word_on_traces_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    quiet.import_tensorflow()
    logger = logging.getLogger("tensorflow")
    logger.warning("5 out of the last 5 calls to f triggered tf.function retracing.")
    logger.warning("another")
    assert "another" in caplog.text or not logger.propagate
    assert "retracing" not in caplog.text


def test_the_users_own_settings_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    quiet.import_tensorflow()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert os.environ["KERAS_BACKEND"] == "jax"
