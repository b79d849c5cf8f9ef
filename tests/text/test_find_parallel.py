from pathlib import Path

import pytest

from rdrop_tf.text.find_parallel import find_parallel


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (("train.de-en.de", "train.de-en.en"), "train"),
        (("train.en-de.de.gz", "train.en-de.en"), "train"),
        (("train.de.gz", "train.en.gz"), "train"),
        (("valid.de", "valid.en"), "validation"),
        (("val.de.gz", "val.en.gz"), "validation"),
        (("dev.de", "dev.en"), "validation"),
        (("test_2016_flickr.de.gz", "test_2016_flickr.en.gz"), "test"),
        (("test_2016_flickr.de.gz", "test_2016_flickr.en.gz"), "test_2016_flickr"),
    ],
)
def test_layouts(tmp_path: Path, names: tuple[str, str], split: str) -> None:
    for name in (*names, "train.fr", "valid.fr.gz"):
        (tmp_path / name).touch()
    expected = tuple(tmp_path / name for name in names)
    assert find_parallel(tmp_path, split, "de", "en") == (*expected, False)
    assert find_parallel(str(tmp_path), split, "en", "de") == (*expected[::-1], False)


def test_one_file_of_two_columns(tmp_path: Path) -> None:
    named, plain = tmp_path / "train.de-en.tsv", tmp_path / "dev.tsv.gz"
    for path in (named, plain):
        path.touch()
    assert find_parallel(tmp_path, "train", "de", "en") == (named, None, False)
    assert find_parallel(tmp_path, "train", "en", "de") == (named, None, True)
    assert find_parallel(tmp_path, "validation", "en", "de") == (plain, None, False)


def test_both_files_must_be_there(tmp_path: Path) -> None:
    for name in ("train.de-en.de", "train.de", "train.en"):
        (tmp_path / name).touch()
    assert find_parallel(tmp_path, "train", "de", "en").source.name == "train.de"


def test_what_was_looked_for_is_said(tmp_path: Path) -> None:
    (tmp_path / "val.de").touch()
    with pytest.raises(FileNotFoundError) as raised:
        find_parallel(tmp_path, "test", "de", "en")
    assert str(raised.value) == (
        f"the test texts must be in {str(tmp_path)!r} as one of test.de-en.de, test.en-de.de, "
        "test.de, test_2016_flickr.de-en.de, test_2016_flickr.en-de.de, test_2016_flickr.de, each "
        "with the same name in .en beside it, or as .tsv of two columns, plain or .gz; none of "
        "these is there"
    )
    with pytest.raises(FileNotFoundError, match="none of these is there"):
        find_parallel(tmp_path, "validation", "de", "en")
    with pytest.raises(FileNotFoundError, match=r"must exist; got '.*nowhere', which is none"):
        find_parallel(tmp_path / "nowhere", "train", "de", "en")
