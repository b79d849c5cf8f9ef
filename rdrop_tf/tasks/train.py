"""One training run: a recipe, an alpha and a seed, into a folder."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from rdrop_tf.models import RDropModel
from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.best_weights import BestWeights
from rdrop_tf.tasks.consistency import PROBE_LOG, ConsistencyProbe
from rdrop_tf.tasks.environment import describe_environment
from rdrop_tf.tasks.logs import EpochLog, StepLog
from rdrop_tf.tasks.plots import plot_curves
from rdrop_tf.tasks.progress import Progress, ProgressPerEpoch
from rdrop_tf.tasks.registry import make_task
from rdrop_tf.tasks.run_folder import RunFolder, read_columns
from rdrop_tf.tasks.task import Examples, Task

# How many training examples the divergence of two passes is measured on.
PROBE_EXAMPLES = 100

# One batch for evaluation, so that its size never decides a figure.
EVALUATION_BATCH = 512


@dataclass(frozen=True)
class RunResult:
    """The final figures of a run, in the metric's own units (a share for accuracy).

    `validation` and `test` are of the weights after the last epoch: every run of a comparison
    gets the same budget. `best_validation` is the best epoch's, whose weights are
    `checkpoints/best.keras`.
    """

    alpha: float
    seed: int
    validation: float
    test: float
    best_validation: float
    probe_kl: float
    milliseconds_per_step: float
    seconds: float


def train(
    recipe: Recipe,
    *,
    alpha: float,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
    describe: Callable[[int], str] | None = None,
) -> RunResult:
    """Trains a recipe once and writes the run's folder.

    Everything random follows from `seed`: the initial weights, the order of the examples and
    the dropout. Runs of one seed and several alphas begin with the same weights and see the
    same batches.

    Args:
        recipe: What to train.
        alpha: The weight of the consistency term; 0 is ordinary training.
        seed: Of everything random.
        folder: A new or empty folder.
        progress: What to advance, by `work_of_an_epoch` an epoch.
        describe: What to say of it when so many epochs are done.

    Returns:
        The final figures, as in the folder's `result.json`.

    Raises:
        ValueError: If the folder holds something.

    Example:
    >>> import tempfile
    >>> from dataclasses import replace
    >>> from rdrop_tf.recipes import DIGITS
    >>> folder = Path(tempfile.mkdtemp())
    >>> result = train(replace(DIGITS, epochs=2), alpha=1.0, seed=0, folder=folder)
    >>> 0 < result.test < 1
    True
    >>> sorted(path.name for path in folder.glob("*.csv"))
    ['epochs.csv', 'steps.csv']
    """
    task = make_task(recipe)
    train_part, validation_part, test_part = task.splits()
    keras.utils.set_random_seed(seed)
    model = _compiled(task, alpha, len(train_part.y))
    run = RunFolder.create(folder)
    run.write_json("config.json", {"recipe": recipe.as_dict(), "alpha": alpha, "seed": seed})
    run.write_json("environment.json", describe_environment())

    best = BestWeights(f"val_{task.metric.name}", task.metric.higher_is_better)
    callbacks = [*_logs(run, task, model, train_part), best]
    if progress is not None:
        say = describe or (lambda epoch: f"epoch {epoch} of {recipe.epochs}")
        callbacks.append(ProgressPerEpoch(progress, work_of_an_epoch(alpha), say))
    # TensorFlow traces the first training step twice where it makes variables: the optimizer's
    # are made here, the metrics' by evaluating once.
    model.optimizer.build(model.trainable_variables)
    score(model, task, validation_part)
    model.fit(
        _shuffled_batches(train_part, recipe.batch_size, seed),
        validation_data=(validation_part.x, validation_part.y),
        validation_batch_size=EVALUATION_BATCH,
        validation_freq=_validated_epochs(recipe),
        epochs=recipe.epochs,
        callbacks=callbacks,
        shuffle=False,  # the batches are shuffled already
        verbose=0,
    )
    test = score(model, task, test_part)
    run.save(model, "last")
    best.restore()
    run.save(model, "best")

    result = _result(run, task, alpha, seed, test)
    run.write_json("result.json", asdict(result))
    title = f"{recipe.name}: alpha {alpha:g}, seed {seed}"
    plot_curves(run.plot, title, task.metric, {alpha: [read_columns(run.epochs)]})
    return result


def work_of_an_epoch(alpha: float) -> float:
    """Returns how long an epoch takes, in epochs of one pass: R-Drop makes two.

    Args:
        alpha: The run's.

    Returns:
        The amount by which an epoch advances a progress.

    Example:
    >>> work_of_an_epoch(0.0), work_of_an_epoch(5.0)
    (1.0, 2.0)
    """
    return 2.0 if alpha else 1.0


def score(model: keras.Model, task: Task, examples: Examples) -> float:
    """Evaluates a compiled model by the task's metric.

    Args:
        model: The model.
        task: Its task.
        examples: What to evaluate on.

    Returns:
        The metric's value.
    """
    figures = model.evaluate(
        examples.x, examples.y, batch_size=EVALUATION_BATCH, verbose=0, return_dict=True
    )
    return float(figures[task.metric.name])


def _compiled(task: Task, alpha: float, examples: int) -> RDropModel:
    steps_per_epoch = -(-examples // task.recipe.batch_size)
    model = RDropModel(task.model(), alpha=alpha, forward=task.recipe.forward)
    model.compile(**task.compile_options(steps_per_epoch))
    return model


def _logs(
    run: RunFolder, task: Task, model: RDropModel, examples: Examples
) -> list[keras.callbacks.Callback]:
    """Makes the callbacks that write the run's figures; the probe goes first and adds its own."""
    recipe = task.recipe
    # With alpha 0 there is one pass, and the 0 logged as `kl` was not measured.
    one_pass = model.one_pass
    return [
        ConsistencyProbe(
            model.model, examples.x[:PROBE_EXAMPLES], task.divergence, recipe.probe_every
        ),
        EpochLog(
            run.epochs,
            fields=[f"val_{task.metric.name}", "val_ce", "val_loss", PROBE_LOG],
            without=["kl"] if one_pass else [],
        ),
        StepLog(run.steps, ["loss", "ce"] if one_pass else ["loss", "ce", "kl"]),
    ]


def _validated_epochs(recipe: Recipe) -> list[int]:
    last = recipe.epochs
    return [
        epoch for epoch in range(1, last + 1) if epoch % recipe.validate_every == 0 or epoch == last
    ]


def _shuffled_batches(examples: Examples, batch_size: int, seed: int) -> tf.data.Dataset:
    """Batches in an order that depends on the seed alone, not on what ran before."""
    count = len(examples.y)
    return (
        tf.data.Dataset.from_tensor_slices(tuple(examples)).shuffle(count, seed).batch(batch_size)
    )


def _result(run: RunFolder, task: Task, alpha: float, seed: int, test: float) -> RunResult:
    epochs, steps = read_columns(run.epochs), read_columns(run.steps)
    validation = _known(epochs[f"val_{task.metric.name}"])
    return RunResult(
        alpha=alpha,
        seed=seed,
        validation=validation[-1],
        test=test,
        best_validation=(max if task.metric.higher_is_better else min)(validation),
        probe_kl=_known(epochs[PROBE_LOG])[-1],
        milliseconds_per_step=1000 * statistics.median(_known(steps["seconds"])),
        seconds=sum(_known(epochs["seconds"])),
    )


def _known(column: list[Any]) -> list[float]:
    return [value for value in column if value is not None]
