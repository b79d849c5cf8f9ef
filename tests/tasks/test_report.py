from dataclasses import replace

from rdrop_tf.recipes import DIGITS
from rdrop_tf.tasks import make_task, report
from rdrop_tf.tasks.comparison import summarise
from tests.tasks.test_comparison import RUNS, TASK

TEXT = """\
digits: test accuracy in % on 100 examples, 3 seeds, 80 epochs each

alpha  test mean  range           difference  95 % interval   ms/step       validation
0      82.00      80.00 to 84.00  -           -               10.0          80.00
1      84.00      83.00 to 85.00  +2.00       -0.48 to +4.48  15.0 (x1.50)  80.00

No difference shown: with alpha 1 instead of 0, test accuracy changed by +2.00 points on average \
over 3 seeds, and the 95 % interval from -0.48 to +4.48 contains 0.
The interval is over seeds (initial weights, order, dropout) on one split of this data, not over \
other data."""


def test_the_whole_text() -> None:
    runs = [replace(run, milliseconds_per_step=15.0 if run.alpha else 10.0) for run in RUNS]
    recipe = replace(DIGITS, epochs=80)
    assert report(summarise(make_task(recipe), 100, runs)) == TEXT


def test_several_alphas_bring_a_warning() -> None:
    runs = [*RUNS, *(replace(run, alpha=5.0) for run in RUNS if run.alpha)]
    assert "the best of several alphas looks better than it is" in report(
        summarise(TASK, 100, runs)
    )


def test_any_terminal_can_show_it() -> None:
    assert report(summarise(TASK, 100, RUNS)).isascii()
