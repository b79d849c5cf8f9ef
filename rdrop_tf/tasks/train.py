"""One training run: a recipe, an alpha and a seed, into a folder."""

import statistics
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from rdrop_tf._preemption import preempted_on_sigterm
from rdrop_tf.models import RDropModel
from rdrop_tf.models.lost_worker import noticing_lost_workers
from rdrop_tf.recipes import Recipe
from rdrop_tf.tasks.best_weights import BestWeights
from rdrop_tf.tasks.consistency import PROBE_LOG, ConsistencyProbe
from rdrop_tf.tasks.environment import describe_environment
from rdrop_tf.tasks.logs import EpochLog, StepLog
from rdrop_tf.tasks.parts import Splits
from rdrop_tf.tasks.plots import plot_curves
from rdrop_tf.tasks.precision import dtype_policy
from rdrop_tf.tasks.progress import Progress, ProgressOfTraining
from rdrop_tf.tasks.registry import make_task
from rdrop_tf.tasks.run_folder import RunFolder, read_columns
from rdrop_tf.tasks.task import Task
from rdrop_tf.tasks.validation import Validation, as_logs, evaluate_part
from rdrop_tf.training import (
    AverageWeights,
    ExactResume,
    SkipNonFinite,
    StopAtNonFinite,
    TrainingStrategy,
    make_strategy,
)
from rdrop_tf.training.interrupts import interrupts_between_steps

# How many training examples the divergence of two passes is measured on.
PROBE_EXAMPLES = 100
# How much work a killed training has to do again, at the most.
MINUTES_TO_LOSE = 5.0
ON_NAN = ("stop", "skip")


@dataclass(frozen=True)
class RunResult:
    """The final figures of a run, in the metric's own units (a share for accuracy).

    `test` is of the weights after the last epoch, or of the mean over the last `average` epochs
    that the recipe asks for: every run of a comparison gets the same budget. `validation` is of
    the last epoch. `best_validation` is the best epoch's, whose weights are
    `checkpoints/best.keras`. `test_figures` are all figures of the test part, the main one
    among them, and of the further parts.
    """

    alpha: float
    seed: int
    validation: float
    test: float
    best_validation: float
    probe_kl: float
    milliseconds_per_step: float
    seconds: float
    test_figures: Mapping[str, float]

    def as_row(self) -> dict[str, float]:
        """Returns it all as one row of a table."""
        row = asdict(self)
        figures = row.pop("test_figures")
        return {**row, **{f"test {name}": value for name, value in figures.items()}}


def train(
    recipe: Recipe,
    *,
    alpha: float,
    seed: int,
    folder: Path,
    task: Task | None = None,
    checkpoints: bool = True,
    resumable: bool = False,
    resume: bool = False,
    strategy: TrainingStrategy | None = None,
    on_nan: str = "stop",
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
        task: The recipe's task, where it is made already and holds its data; nothing is said of
            these then.
        checkpoints: Whether to write the models.
        resumable: Whether to save the training itself every few minutes, and on SIGTERM before
            the process ends with the exit code 75.
        resume: Whether to go on, where the folder holds such a training; an ended one is not
            trained again.
        strategy: The devices, as of `rdrop_tf.training.make_strategy`; one unless given. The
            recipe's batches are those of all of them together. Of several workers all call this
            with a folder that all of them see, and the chief writes into it.
        on_nan: "stop" ends where the loss is no finite number; "skip" leaves such steps out, up to
            10 of them.
        progress: What to advance, by `work_of_an_epoch` an epoch.
        describe: What to say of it in such an epoch, counted from 1.

    Returns:
        The final figures, as in the folder's `result.json`.

    Raises:
        ValueError: If the folder holds something, what is resumed has other settings, or
            `on_nan` does not go with the recipe's dtype.
        FloatingPointError: If the loss is no finite number.

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
    config = {"recipe": recipe.as_dict(), "alpha": alpha, "seed": seed}
    if on_nan not in ON_NAN:
        raise ValueError(f"on_nan must be one of {', '.join(ON_NAN)}. Received: {on_nan!r}")
    if on_nan == "skip" and recipe.dtype == "mixed_float16":
        raise ValueError(
            "mixed_float16 leaves steps out by itself, with a lower loss scale. Received: "
            "on_nan='skip': leave it out"
        )
    strategy = strategy or make_strategy("none")
    saves = resumable or resume
    shown = None
    if progress is not None:
        say = describe or (lambda epoch: f"epoch {epoch} of {recipe.epochs}")
        shown = ProgressOfTraining(progress, work_of_an_epoch(alpha), say)
    # `fit` hears of both by itself; it is not all that takes time.
    sigterm = preempted_on_sigterm() if saves else nullcontext()
    with sigterm, noticing_lost_workers(strategy.workers):
        if not strategy.is_chief:
            run = RunFolder.of_worker(folder)
        else:
            run = RunFolder.create_or_resume(folder, config) if resume else RunFolder.create(folder)
        if run.has_ended:
            run.forget_unfinished()
            return _read_result(run)
        if task is None:
            task = make_task(recipe)
            if progress is not None:
                progress.say(task.about_data())
        return _train(
            recipe,
            run,
            task,
            alpha,
            seed,
            config,
            strategy=strategy,
            on_nan=on_nan,
            checkpoints=checkpoints,
            saves=saves,
            shown=shown,
        )


def _train(
    recipe: Recipe,
    run: RunFolder,
    task: Task,
    alpha: float,
    seed: int,
    config: Mapping[str, Any],
    *,
    strategy: TrainingStrategy,
    on_nan: str,
    checkpoints: bool,
    saves: bool,
    shown: ProgressOfTraining | None,
) -> RunResult:
    """Does what `train` does, in a folder of its own."""
    parts = task.splits()
    keras.utils.set_random_seed(seed)
    with strategy.scope():
        model = _compiled(task, alpha, on_nan)
    run.write_json("config.json", config)
    run.write_json("environment.json", describe_environment())
    # Also builds whatever evaluation makes, so that the first training step is like the others:
    # TensorFlow traces it twice where it makes variables.
    untrained = as_logs(evaluate_part(model, task, parts.validation))
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)

    batches = task.training_batches(seed)
    best = BestWeights(f"val_{task.metric.name}", task.metric.higher_is_better)
    callbacks = [
        *task.watchers(batches),
        *_logs(run, task, model, parts, list(untrained)),
        best,
    ]
    average = AverageWeights(recipe.average) if recipe.average > 1 else None
    if average is not None:
        callbacks.append(average)
    if shown is not None:
        callbacks.append(shown)
    saving = None
    if saves:
        saving = ExactResume(
            run.unfinished, every_epochs=None, every_minutes=MINUTES_TO_LOSE, seed=seed
        )
        callbacks.append(saving)
    callbacks.insert(0, StopAtNonFinite(resume=saving))
    with interrupts_between_steps() as last:
        model.fit(batches, epochs=recipe.epochs, callbacks=[*callbacks, last], verbose=0)
    if average is not None:
        average.assign()
    y, predicted = task.answers(model, parts.test)
    test_figures = {**task.figures(y, predicted), **_further_figures(model, task, parts)}
    task.picture(run.path, y, predicted)
    if checkpoints:
        run.save(model, "last")
        task.keep(run.path)
        best.restore()
        run.save(model, "best")

    result = _result(run, task, alpha, seed, test_figures)
    title = f"{recipe.name}: alpha {alpha:g}, seed {seed}"
    plot_curves(run.plot, title, task.metric, {alpha: [read_columns(run.epochs)]})
    run.write_json("result.json", asdict(result))  # the last file: the run has ended
    run.forget_unfinished()
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


def _read_result(run: RunFolder) -> RunResult:
    try:
        return RunResult(**run.read_result())
    except TypeError as error:
        raise ValueError(
            f"result.json must hold the figures of a run that has ended; got that of {run.path}, "
            "which does not: remove it to have them worked out anew"
        ) from error


def _compiled(task: Task, alpha: float, on_nan: str) -> RDropModel:
    recipe = task.recipe
    steps = recipe.epochs * task.steps_an_epoch
    with dtype_policy(recipe.dtype):
        network = task.model()
    model = RDropModel(network, alpha=alpha, forward=recipe.forward, views=task.views)
    optimizer = task.optimizer(network, steps)
    if on_nan == "skip":
        optimizer = SkipNonFinite(optimizer)
    model.compile(optimizer=optimizer, loss=task.loss())
    model.log_gradient_norm = task.logs_gradient_norm
    return model


def _logs(
    run: RunFolder, task: Task, model: RDropModel, parts: Splits, validated: list[str]
) -> list[keras.callbacks.Callback]:
    """Makes the callbacks that add figures to an epoch's logs, and then those that write them."""
    recipe = task.recipe
    # With alpha 0 there is one pass, and the 0 logged as `kl` was not measured.
    one_pass = model.one_pass
    by_step = ["loss", "ce"] if one_pass else ["loss", "ce", "kl"]
    if model.log_gradient_norm:
        by_step.append("gradient_norm")
    probed = task.probe(PROBE_EXAMPLES)
    return [
        Validation(task, parts.validation, recipe.validate_every),
        ConsistencyProbe(model.model, probed, task.divergence, recipe.probe_every),
        EpochLog(run.epochs, fields=[*validated, PROBE_LOG], without=["kl"] if one_pass else []),
        StepLog(run.steps, by_step),
    ]


def _further_figures(model: RDropModel, task: Task, parts: Splits) -> dict[str, float]:
    return {
        f"{word} {name}": value
        for word, part in parts.more.items()
        for name, value in evaluate_part(model, task, part).items()
    }


def _result(
    run: RunFolder, task: Task, alpha: float, seed: int, test_figures: Mapping[str, float]
) -> RunResult:
    epochs, steps = read_columns(run.epochs), read_columns(run.steps)
    validation = _known(epochs[f"val_{task.metric.name}"])
    return RunResult(
        alpha=alpha,
        seed=seed,
        validation=validation[-1],
        test=test_figures[task.metric.name],
        best_validation=(max if task.metric.higher_is_better else min)(validation),
        probe_kl=_known(epochs[PROBE_LOG])[-1],
        milliseconds_per_step=1000 * statistics.median(_known(steps["seconds"])),
        seconds=sum(_known(epochs["seconds"])),
        test_figures=test_figures,
    )


def _known(column: list[Any]) -> list[float]:
    return [value for value in column if value is not None]
