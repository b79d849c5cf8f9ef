"""Compares alphas for a recipe, to choose one by the validation figures.

    python -m tools.choose_alpha digits

It takes seeds that `rdrop compare` does not: a run that was lucky on the validation part is
likely to be lucky on the test part too, so the runs that choose must not be those that report.
Writes benchmarks/results/<recipe>-choice.json.
"""

import json
import sys
import tempfile
from pathlib import Path

from rdrop_tf.recipes import find_recipe
from rdrop_tf.tasks import Progress, compare, report, work_of_a_comparison

ALPHAS = (0.0, 0.5, 1.0, 2.0, 5.0)
SEEDS = range(100, 105)
RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"


def main(name: str) -> None:
    recipe = find_recipe(name)
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(work_of_a_comparison(recipe, ALPHAS, SEEDS)) as progress,
    ):
        comparison = compare(
            recipe, alphas=ALPHAS, seeds=SEEDS, folder=Path(folder), progress=progress
        )
        result = (Path(folder) / "result.json").read_text(encoding="utf-8")
    (RESULTS / f"{name}-choice.json").write_text(result, encoding="utf-8")
    print(report(comparison))
    print(f"The best mean validation figure of R-Drop has alpha {best_alpha(name):g}.")


def best_alpha(name: str) -> float:
    """Returns the alpha above 0 that a kept choice speaks for; of equal ones the smallest."""
    choice = json.loads((RESULTS / f"{name}-choice.json").read_text(encoding="utf-8"))
    rows = [row for row in choice["rows"] if row["alpha"]]
    return float(max(rows, key=lambda row: row["validation_mean"])["alpha"])


if __name__ == "__main__":
    main(sys.argv[1])
