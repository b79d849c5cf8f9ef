from pathlib import Path

import pytest

from rdrop_tf.tasks.glue import find_glue_dataset
from rdrop_tf.tasks.glue.find_file import find_file
from tests.tasks.glue.official import write_official


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("MRPC", "MRPC"),
        ("MRPC", "mrpc"),
        ("SST-2", "SST-2"),
        ("SST-2", "sst2"),
        ("STS-B", "stsb"),
        ("CoLA", "cola"),
        ("AX", "diagnostic"),
        ("AX", "AX"),
    ],
)
def test_the_folder_by_any_usual_name_or_itself(tmp_path: Path, name: str, folder: str) -> None:
    data = find_glue_dataset(name)
    home = write_official(tmp_path, name, as_folder=folder)
    for place in (tmp_path, home):
        assert find_file(data, "test", place) == home / data.files["test"][0]


def test_the_first_official_file_comes_first(tmp_path: Path) -> None:
    home = write_official(tmp_path, "MRPC")
    (home / "msr_paraphrase_train.txt").write_text("")
    assert find_file(find_glue_dataset("MRPC"), "train", tmp_path) == home / "train.tsv"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(FileNotFoundError) as error:
        find_file(find_glue_dataset("RTE"), "train", missing)
    assert str(error.value) == (
        f"the folder of GLUE's files must exist; got {str(missing)!r}, which is none: name the "
        "folder that holds RTE"
    )


def test_all_places_that_were_looked_at_are_named(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    with pytest.raises(FileNotFoundError) as error:
        find_file(find_glue_dataset("SST-2"), "validation", tmp_path)
    places = [str(tmp_path / place / "dev.tsv") for place in ("SST-2", "sst2", "")]
    assert str(error.value) == (
        f"the validation rows of SST-2 must be in {places[0]!r} or {places[1]!r} or "
        f"{places[2]!r}; none of them exists: name the folder that holds the official tsv files"
    )


def test_a_split_that_there_is_not(tmp_path: Path) -> None:
    text = "a split of RTE must be one of train, validation, test; got 'dev'"
    with pytest.raises(ValueError, match=text):
        find_file(find_glue_dataset("RTE"), "dev", tmp_path)
