"""A trained run's answers to lines of input."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from rdrop_tf.tasks.registry import task_of_run
from rdrop_tf.tasks.run_folder import RunFolder


def predict(
    folder: Path, lines: Iterable[str], has_arrived: Callable[[], bool] | None = None
) -> Iterator[str]:
    """Predicts with a run's last weights.

    Args:
        folder: A folder that `train` wrote.
        lines: One input a line, in the task's form.
        has_arrived: Tells whether the next line is there, without waiting for it; None where all
            are. A task that answers as lines come keeps none waiting for one that is not.

    Returns:
        One line for each, as they come.

    Raises:
        ValueError: If the folder is no finished run, or, at the first answer, a line breaks the
            form.
    """
    run = RunFolder.open(folder)
    task = task_of_run(run)
    model = run.load("last")
    return task.answer_lines(model, lines, has_arrived)


def write_submissions(folder: Path, target: Path, data: str | None = None) -> Sequence[str]:
    """Writes a run's answers to its data set's test rows, as the benchmark takes them.

    Args:
        folder: A folder that `train` wrote; its last weights answer.
        target: Where to; it is made when missing.
        data: Where the data lie now; None where the run found them.

    Returns:
        A sentence for each file: its path, its rows, and whether it can be handed in.

    Raises:
        ValueError: If the folder is no finished run, or its task has no submissions.
        OSError: If the test rows are not there.
    """
    run = RunFolder.open(folder)
    task = task_of_run(run, data)
    model = run.load("last")
    return task.submissions(model, target)
