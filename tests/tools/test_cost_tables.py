from tools import cost_tables

ROW = {
    "model": "vit",
    "way": "concat",
    "rounds": "40",
    "milliseconds": "12.345",
    "milliseconds_p10": "10.0",
    "milliseconds_p90": "20.0",
    "over plain": "1.9",
    "over plain p10": "1.8",
    "over plain p90": "2.0",
    "over by hand": "0.987",
    "over by hand p10": "0.9",
    "over by hand p90": "1.1",
    "words": "a small model",
    "python": "3.11",
    "keras": "3.15",
    "tensorflow": "2.21",
    "processor": "a chip",
    "cores": "2",
}
PAGE = "before\n<!-- step.csv -->\nold\n<!-- end of step.csv -->\nafter\n"


def test_figures_come_between_the_marks() -> None:
    text = cost_tables.with_tables(PAGE, [ROW])
    assert text.startswith("before\n<!-- step.csv -->\nA small model:\n")
    assert text.endswith("<!-- end of step.csv -->\nafter\n")
    assert "old" not in text
    assert "| concat | 12.3 (10.0 to 20.0) | 1.90 (1.80 to 2.00) | 0.99 (0.90 to 1.10) |" in text
    assert "40 rounds in turns on 2 cores (a chip), Python 3.11, keras 3.15" in text


def test_the_document_shows_the_kept_figures() -> None:
    assert cost_tables.main(check=True) == 0
