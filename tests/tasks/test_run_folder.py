import errno
from pathlib import Path
from typing import Any

import pytest

from rdrop_tf.tasks import Comparison, RunFolder
from rdrop_tf.tasks.run_folder import read_columns, write_rows


def test_folders_above_are_made_too(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path / "a" / "b").path.is_dir()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    RunFolder.create(tmp_path)


def test_a_full_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(ValueError, match=r"a run needs a new or empty folder; got .*: choose"):
            RunFolder.create(path)


def test_json_keeps_letters_and_numbers(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    content = {"name": "α = 0.1", "values": [0.1, None, 3]}
    folder.write_json("x.json", content)
    assert folder.read_json("x.json") == content
    assert "α = 0.1" in (tmp_path / "x.json").read_text(encoding="utf-8")


def test_empty_cells_are_none(tmp_path: Path) -> None:
    write_rows(tmp_path / "x.csv", [{"a": 1, "b": None}, {"a": 0.1, "b": 2}])
    assert read_columns(tmp_path / "x.csv") == {"a": [1.0, 0.1], "b": [None, 2.0]}


def test_a_comparison_is_told_from_a_run(compared: tuple[Path, Comparison]) -> None:
    with pytest.raises(ValueError, match=r"a run is wanted; got the comparison .*alpha-0-seed-0'"):
        RunFolder.open(compared[0])


def test_a_folder_without_a_checkpoint_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds checkpoints/last\.keras; got .*which does not"):
        RunFolder.open(tmp_path / "nowhere")


def test_what_a_process_left_that_came_no_further_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "config.json.unfinished").touch()
    RunFolder.create_or_resume(tmp_path, {}).write_json("config.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_full_disk_leaves_no_half_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        RunFolder.create(tmp_path).write_json("config.json", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_broken_json_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"^config.json of a run must be .*config\.json' with .*:"):
        RunFolder.create_or_resume(tmp_path, {})
