"""The tables of what R-Drop costs show the kept figures."""

from pathlib import Path

import pytest

from tools import cost_tables

MACHINE = {"python": "3.11", "keras": "3.15", "tensorflow": "2.21", "processor": "a chip"}
MACHINE |= {"cores": "2"}
TIME = {"rounds": "40", "milliseconds": "12.345", "milliseconds_p10": "10.0"}
TIME |= {"milliseconds_p90": "20.0"}
PLAIN = {"over plain": "1.9", "over plain p10": "1.8", "over plain p90": "2.0"}
STEP = {"model": "vit", "way": "concat", "words": "a small model", **TIME, **PLAIN, **MACHINE}
FASTER = {**STEP, "way": "two_calls", "milliseconds": "11.0"}
HEAD = {"way": "linear_rdrop", "mode": "XLA", "rows": "8", "features": "4", "classes": "1000"}
SWEEP = {"sweep": "rows", "value": "64", "way": "linear_rdrop", "mode": "graph"}
ACCELERATOR = {"name": "big", "vocabulary": "32000", "rows": "4", "length": "8", "way": "naive"}


def test_a_content_comes_between_its_marks() -> None:
    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n<!-- y -->\nkept\n<!-- end of y -->\n"
    written = cost_tables.with_content(page, "x", "new")
    assert written == page.replace("old", "new")
    assert cost_tables.with_content(page, "z", "new") == page


def test_a_step_by_hand() -> None:
    text = cost_tables.step_tables([STEP])
    assert text.startswith("A small model:\n\n| step | ms")
    # What was not timed stays empty.
    assert "| concat | 12.3 (10.0 to 20.0) | 1.90 (1.80 to 2.00) |  |  |  |" in text
    assert "40 rounds in turns on 2 cores (a chip), Python 3.11, keras 3.15" in text


def test_the_summary_shows_the_fastest_way() -> None:
    text = cost_tables.summary([STEP, FASTER])
    assert "| a small model | two_calls | 1.90 (1.80 to 2.00) |  |  |" in text
    assert "concat" not in text


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [("9.6", "two_calls"), ("9.4", "shared_prefix")]
)
def test_the_summary_takes_the_plainest_of_those_that_noise_sets_apart(
    milliseconds: str, shown: str
) -> None:
    plain = {**STEP, "way": "two_calls", "milliseconds": "10.0"}
    other = {**STEP, "way": "shared_prefix", "milliseconds": milliseconds}
    assert f"| a small model | {shown} |" in cost_tables.summary([plain, other])


def test_a_prefix_has_a_column_for_each_share() -> None:
    over = {"over two_calls": "0.91", "over two_calls p10": "0.9", "over two_calls p90": "0.95"}
    row = {"model": "dense", "batch": "4", "backend": "jax", "jax": "1", **TIME, **MACHINE}
    small = {**row, "share": "0.051", "estimate": "0.976", "auto": "shared_prefix", **over}
    text = cost_tables.prefix_table([small, {**small, "share": "0.5", "estimate": "0.75"}])
    assert "| model | backend | batch | share 5% | share 50% |" in text
    assert "| dense | jax | 4 | 0.91 (0.90 to 0.95) | 0.91 (0.90 to 0.95) |" in text
    assert "| estimate |  |  | 0.98 | 0.75 |" in text
    assert '| what "auto" makes |  |  | shared_prefix | shared_prefix |' in text
    assert "tensorflow 2.21, jax 1; ratios" in text


def test_translation_and_decoding() -> None:
    def measured(name: str, middle: str) -> dict[str, str]:
        return {name: middle, f"{name} p10": "1.5", f"{name} p90": "1234.56"}

    step = {
        "size": "tiny",
        "way": "concat",
        **TIME,
        **measured("tokens_per_second", "900"),
        **MACHINE,
    }
    step |= measured("times by hand", "1.6")
    feed = {**step, "way": "input", **measured("share of a step", "0.012")}
    text = cost_tables.translation_table([step, feed])
    line = (
        "| tiny | concat | 12.3 (10.0 to 20.0) | 900 (2 to 1,235) | 1.60 (1.50 to 1234.56) |  |  |"
    )
    assert line in text
    assert "The input takes 1.2% of a step of size tiny." in text
    way = {"way": "greedy", "beams": "1", "sentences": "8", "rounds": "5", **MACHINE}
    way |= measured("sentences_per_second", "12.34") | measured("times slow", "2")
    text = cost_tables.decoding_table([way])
    assert "| way | beams | sentences | sentences a second | times slow |" in text
    assert "| greedy | 1 | 8 | 12.3 (1.5 to 1,234.6) | 2.00 (1.50 to 1234.56) |" in text
    assert "5 rounds in turns on 2 cores" in text


def test_heads_and_memory() -> None:
    text = cost_tables.head_table([{**HEAD, **TIME, **PLAIN, **MACHINE, "torch": "2.13"}])
    assert text.startswith("2 × 8 rows, 4 features, 1,000 classes:")
    assert "| linear_rdrop | XLA | 12.3 (10.0 to 20.0) | 1.90 (1.80 to 2.00) |" in text
    assert "tensorflow 2.21, torch 2.13; ratios" in text
    weights = {"megabytes": "90.4", "without gradient": "74.4", "over plain": ""}
    text = cost_tables.memory_table([{**HEAD, **weights, **MACHINE}])
    assert "| 2 × 8, 4, 1,000 | linear_rdrop | XLA | 90 | 74 |  |" in text


def test_a_sweep_has_a_column_for_each_mode() -> None:
    rows = [{**SWEEP, **TIME, **PLAIN, **MACHINE}]
    rows.append({**rows[0], "mode": "XLA", "value": "128"})
    text = cost_tables.sweep_tables(rows)
    assert "| rows | times plain, graph | times plain, XLA |" in text
    assert "| 64 | 1.90 (1.80 to 2.00) |  |" in text
    assert "| 128 |  | 1.90 (1.80 to 2.00) |" in text


def test_an_accelerator_that_was_too_small() -> None:
    versions = {"backend": "jax", "keras": "3", "jax": "1"}
    short = {**ACCELERATOR, "note": "out of memory", **versions}
    figures = {"milliseconds": "50", "milliseconds_least": "49", "milliseconds_most": "52"}
    figures |= {"tokens_per_second": "12345.6", "share_of_peak": "0.432", "peak_megabytes": ""}
    done = {**ACCELERATOR, "way": "concat", "note": "", "device": "a card", **figures, **versions}
    text = cost_tables.accelerator_table([short, done])
    assert "| big, 32,000 tokens, 4 × 8 | naive | out of memory |  |  |  |" in text
    assert "| concat | 50.0 (49.0 to 52.0) | 12,346 | 43.2% |  |" in text
    assert text.endswith("a card, jax, keras 3, jax 1.")


def test_a_stale_document_is_named_and_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("<!-- cost -->\nold\n<!-- end of cost -->\n")
    places = [f"<!-- {name}.csv -->\nold\n<!-- end of {name}.csv -->\n" for name in ("step", "no")]
    (tmp_path / "docs" / "cost.md").write_text("".join(places))
    (tmp_path / "docs" / "scale.md").write_text("no place here\n")
    monkeypatch.setattr(cost_tables, "PLOTS", {})
    assert cost_tables.main(check=True, home=tmp_path) == 1
    assert "README.md does not show the kept figures: run" in capsys.readouterr().out
    assert cost_tables.main(check=False, home=tmp_path) == 0
    assert cost_tables.main(check=True, home=tmp_path) == 0
    assert places[1] in (tmp_path / "docs" / "cost.md").read_text()


def test_plots_are_drawn_of_what_was_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    sweeps = [{**SWEEP, **PLAIN}, {**SWEEP, **PLAIN, "sweep": "passes"}]
    weights = [{**HEAD, "megabytes": "90.4"}]
    cost_tables.draw({"step": [STEP, FASTER], "sweep": sweeps, "head_memory": weights}, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["head_memory.png", "step.png", "sweep.png"]


def test_the_documents_show_the_kept_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert cost_tables.main(check=True) == 0, capsys.readouterr().out
