import json
from pathlib import Path

import pytest

from tools import keep_results


def test_the_documents_show_the_kept_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert keep_results.main(check=True) == 0, capsys.readouterr().out


def test_a_stale_document_is_named_and_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme, measured = tmp_path / "README.md", tmp_path / "measured.json"
    readme.write_text("a\n<!-- results of digits -->\nold\n<!-- end of results of digits -->\nz\n")
    measured.write_text("{}")
    monkeypatch.setattr(keep_results, "HOME", tmp_path)
    monkeypatch.setattr(keep_results, "README", readme)
    monkeypatch.setattr(keep_results, "MEASURED", measured)
    assert keep_results.main(check=True) == 1
    assert "README.md does not show the kept results: run" in capsys.readouterr().out
    assert keep_results.main(check=False) == 0
    assert keep_results.main(check=True) == 0
    result = json.loads((keep_results.RESULTS / "digits.json").read_text())
    text = readme.read_text()
    assert text.startswith("a\n")
    assert text.endswith("\nz\n")
    assert result["verdicts"][0] in text
    for row in result["rows"]:
        assert f"| {row['test_mean']:.2f} |" in text
    assert "rdrop compare digits in " in json.loads(measured.read_text())["digits"][1]


def test_a_readme_without_the_place_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must hold <!-- results of digits --> and <!-- end"):
        keep_results.with_table("nothing here", "digits", "| a |")
