import json
import re

import pytest

from rdrop_tf.recipes import find_recipe
from tools import quality_tables


def _row(alpha: float, epochs: int, seed: int, accuracy: float, **changes: str) -> dict[str, str]:
    return {
        "study": "mrpc",
        "stage": "report",
        "alpha": str(alpha),
        "learning_rate": "0.0001",
        "epochs": str(epochs),
        "seed": str(seed),
        "metric": "accuracy",
        "validation": str(accuracy),
        "figures": json.dumps({"loss": 1.0 - accuracy, "accuracy": accuracy}),
        "probe_kl": str(0.2 - accuracy / 10 if alpha else accuracy),
        "seconds": "1800",
        "device": "cpu:0",
        "backend": "tensorflow",
        "keras": "3",
        **changes,
    }


ROWS = [
    _row(0.0, 5, 0, 0.80),
    _row(1.0, 5, 0, 0.83),
    _row(0.0, 10, 0, 0.82),
    _row(0.0, 5, 1, 0.84),
    _row(1.0, 5, 1, 0.85),
    _row(0.0, 10, 1, 0.84),
]


def test_a_line_by_hand() -> None:
    accuracy, loss = quality_tables.report_lines(ROWS)
    # The differences are .03 and .01: mean .02, standard error .01, Student's point 12.7062.
    assert accuracy == (
        "| mrpc | accuracy | 2 | 0.8200 (0.8000 to 0.8400) | 1 | 0.8400 (0.8300 to 0.8500) "
        "| +0.0200 (-0.1071 to +0.1471) | 0.8300 (0.8200 to 0.8400) "
        "| +0.0100 (+0.0100 to +0.0100) |"
    )
    assert loss.startswith("| mrpc | loss | 2 | 0.1800 (0.1600 to 0.2000) | 1 |")


def test_how_far_two_passes_are_apart() -> None:
    # Of R-Drop .2 - .084, of ordinary training .82 and .83.
    (line,) = quality_tables.probe_lines(ROWS)
    assert line == "| mrpc | 5 epochs | 0.8200 | 0.1160 | 14% | 0.8300 |"


def test_a_study_without_pairs_is_left_out() -> None:
    assert not list(quality_tables.report_lines(ROWS[:3]))
    assert quality_tables.NOTHING.strip() in quality_tables.content(ROWS[:3])


def test_what_was_chosen_among_is_shown() -> None:
    rows = [_row(0.0, 5, seed, value, stage="rate") for seed, value in ((100, 0.7), (101, 0.8))]
    text = quality_tables.content(rows)
    assert "| mrpc | 0.0001 | 0 | 2 | 0.7500 |" in text
    assert "2 runs, 1.0 hours of training, on cpu:0 (keras 3 on tensorflow)." in text


@pytest.mark.parametrize(
    ("place", "mark"),
    [(quality_tables.PLACE, "quality.csv"), (quality_tables.SUMMARY_PLACE, "quality")],
)
def test_only_the_marked_place_changes(place: re.Pattern[str], mark: str) -> None:
    text = f"before\n<!-- {mark} -->\nold\n<!-- end of {mark} -->\nafter\n"
    written = quality_tables.with_tables(text, place, "new\n")
    assert written == text.replace("old", "new")


def test_the_summary_has_one_line_a_study() -> None:
    header, rule, line = quality_tables.summary(ROWS).splitlines()
    assert len({text.count("|") for text in (header, rule, line)}) == 1
    assert line == (
        "| MRPC | MiniLM, 6 layers of 384 | accuracy | 2 | 0.8200 (0.8000 to 0.8400) "
        "| α = 1: 0.8400 (0.8300 to 0.8500) | +0.0200 (-0.1071 to +0.1471) "
        "| +0.0100 (+0.0100 to +0.0100) |"
    )
    assert quality_tables.summary([]) == quality_tables.NOTHING


def test_every_study_has_a_name() -> None:
    from benchmarks.quality_studies import STUDIES

    assert {name: recipe for name, (_, _, recipe) in quality_tables.STUDIES.items()} == {
        name: study.recipe for name, study in STUDIES.items()
    }


def test_what_a_recipe_shows_is_what_the_documents_show() -> None:
    assert quality_tables.measured(ROWS) == {
        "mrpc-small": [
            "accuracy, 2 seeds; alpha 0: 0.8200 (0.8000 to 0.8400); alpha 1: 0.8400 (0.8300 to "
            "0.8500); alpha 0 for 10 epochs: 0.8300 (0.8200 to 0.8400)",
            "MRPC, MiniLM, 6 layers of 384, 5 epochs: python -m benchmarks.quality run, 6 runs, "
            "3.0 hours of training, on cpu:0 (keras 3 on tensorflow).",
        ]
    }
    assert quality_tables.measured(ROWS[:3]) == {}


@pytest.mark.parametrize("name", ["mrpc", "rte", "sts-b", "sst-2"])
def test_the_recipes_of_glue_have_the_alpha_that_was_chosen(name: str) -> None:
    from benchmarks.quality import RESULTS, best, read_rows

    recipe = find_recipe(f"{name}-small")
    assert recipe.alpha == best(read_rows(RESULTS), name, "alpha", "alpha")


def test_the_document_shows_the_kept_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert quality_tables.main(check=True) == 0, capsys.readouterr().out
