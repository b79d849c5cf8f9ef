import pytest

from rdrop_tf import _optional
from rdrop_tf._optional import require


def test_what_is_there_is_no_matter() -> None:
    require("numpy", extra="hub")


def test_what_is_missing_is_said_with_the_line_that_installs_it() -> None:
    with pytest.raises(ImportError) as raised:
        require("no_such_package", extra="hub")
    assert str(raised.value) == 'no_such_package is missing: pip install "rdrop_tf[hub]"'


def test_the_package_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(_optional, "find_spec", lambda name: asked.append(name) or object())
    require("no_such_package", extra="data")
    assert asked == ["no_such_package"]
