from dataclasses import replace

import pytest

from rdrop_tf.recipes import DIGITS
from rdrop_tf.tasks import RunResult, make_task
from rdrop_tf.tasks.comparison import summarise

TASK = make_task(DIGITS)
RUN = RunResult(
    alpha=0.0,
    seed=0,
    validation=0.8,
    test=0.8,
    best_validation=0.9,
    probe_kl=0.1,
    milliseconds_per_step=10.0,
    seconds=5.0,
    test_figures={"accuracy": 0.8, "loss": 0.5},
)
TESTS = {
    (0.0, 0): 0.80,
    (1.0, 0): 0.83,
    (0.0, 1): 0.84,
    (1.0, 1): 0.85,
    (0.0, 2): 0.82,
    (1.0, 2): 0.84,
}
RUNS = [
    replace(RUN, alpha=alpha, seed=seed, test=test, test_figures={"accuracy": test})
    for (alpha, seed), test in TESTS.items()
]


def test_rows_by_hand() -> None:
    baseline, other = summarise(TASK, 100, RUNS).rows
    assert (baseline.alpha, baseline.difference) == (0.0, None)
    assert baseline.test_mean == pytest.approx(82.0)
    assert (other.test_low, other.test_high) == (83.0, 85.0)
    assert other.difference is not None
    # The differences are 3, 1 and 2: mean 2, standard error 1/sqrt(3), and Student's 97.5 %
    # point with 2 degrees of freedom is 4.30265.
    assert other.difference.mean == pytest.approx(2.0)
    assert other.difference.high - 2.0 == pytest.approx(4.30265 / 3**0.5, abs=1e-5)


def test_the_pairs_are_made_by_seed_whatever_the_order() -> None:
    shuffled = [RUNS[0], *RUNS[:0:-1]]
    assert summarise(TASK, 100, shuffled).rows == summarise(TASK, 100, RUNS).rows


def test_the_time_of_a_step_is_a_median() -> None:
    runs = [
        replace(run, milliseconds_per_step=ms)
        for run, ms in zip(RUNS, (1, 9, 2, 9, 50, 9), strict=True)
    ]
    assert [row.milliseconds_per_step for row in summarise(TASK, 100, runs).rows] == [
        2,
        9,
    ]


def test_one_sentence_for_every_alpha_but_the_baseline() -> None:
    runs = [*RUNS, *(replace(run, alpha=5.0) for run in RUNS if run.alpha)]
    first, second = summarise(TASK, 100, runs).verdicts
    assert "with alpha 1 instead of 0, test accuracy" in first
    assert "with alpha 5 instead of 0, test accuracy" in second


def test_as_dict_names_the_metric_and_every_run() -> None:
    content = summarise(TASK, 100, RUNS).as_dict()
    assert content["metric"]["name"] == "accuracy"
    assert [run["test"] for run in content["runs"]] == list(TESTS.values())
    assert content["rows"][1]["difference"]["pairs"] == 3
