"""Any Keras model, trained with R-Drop."""

from typing import Any

import keras
from keras import ops

from rdrop_tf._keras import takes_training
from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.data import EpochData
from rdrop_tf.losses import labels
from rdrop_tf.losses.heads import Divergence
from rdrop_tf.models.alpha import Alpha, AlphaLike
from rdrop_tf.models.arguments import check_arguments
from rdrop_tf.models.by_epoch import find_resumes, fit_by_epoch
from rdrop_tf.models.choice import choose, is_unbuilt
from rdrop_tf.models.describe import description
from rdrop_tf.models.draws import listen
from rdrop_tf.models.lost_worker import noticing_lost_workers
from rdrop_tf.models.objective import PassesInView, RDropCompileLoss, check_losses
from rdrop_tf.models.passes import batch_size, holds_views
from rdrop_tf.models.preprocessing import (
    data_by_epoch,
    preprocessed,
    preprocessed_for_fit,
    preprocesses,
)
from rdrop_tf.models.seeds import load_seed_states, save_seed_states
from rdrop_tf.models.skip_non_finite import SkipNonFinite
from rdrop_tf.models.strategy import (
    check_compile,
    check_fit,
    check_optimizer,
    check_strategy,
    is_chief,
    scope_of,
    worker_count,
)
from rdrop_tf.models.vocabulary import VocabularyHeads
from rdrop_tf.models.watch import Watch
from rdrop_tf.models.workers import for_workers, goes_by_epoch, written_by_chief

if keras.backend.backend() == "tensorflow":
    from rdrop_tf.models.step_tensorflow import TensorFlowStep as BackendStep
elif keras.backend.backend() == "jax":
    from rdrop_tf.models.step_jax import JaxStep as BackendStep
elif keras.backend.backend() == "torch":
    from rdrop_tf.models.step_torch import TorchStep as BackendStep
else:  # Keras itself cannot train on the others, and says so.
    BackendStep = object  # type: ignore[misc, assignment]


@keras.saving.register_keras_serializable(package="rdrop_tf")
class RDropModel(BackendStep, keras.Model):
    """Trains a Keras model with R-Drop: two stochastic passes of each example, kept consistent.

    Formula, with CE_k the task loss of pass k and D the divergence of the passes, over the
    examples or valid positions of the whole global batch (arXiv 2106.14448):

        normalize="passes"   loss = mean_k CE_k + (alpha / 2) D
        normalize="paper"    loss = sum_k  CE_k +  alpha      D

    It is a `keras.Model`: compile it with the task loss and fit it on whatever the wrapped
    model fits on, raw strings for a KerasHub task included. The wrapped model is trained in
    place and stays usable on its own. `evaluate`, `predict` and `export` make one pass.
    The logs hold `loss`, `ce` (mean task loss of the passes), `kl` (the divergence, not
    multiplied by alpha; 0 in epochs that computed none) and the compiled metrics, which see the
    first pass, so each example once. Losses that the model adds (regularisers, `add_loss`)
    count once.

    Args:
        model: The model to train: functional, sequential, subclassed, or a KerasHub task.
        alpha: Weight of the divergence in the paper's units: a number >= 0, a
            `keras.optimizers.schedules.LearningRateSchedule` of the optimizer's step, or a
            dict of these by output name. A constant 0 makes one pass, exactly ordinary
            training. See `rdrop_tf.losses.convert_alpha` for numbers from other code bases.
        divergence: "auto" takes what belongs to the compiled loss; else a name, or a function
            of two predictions. See `RDropLoss`.
        normalize: "passes" keeps the scale of ordinary training, "paper" is the paper's.
        passes: Number of passes, >= 2; the divergence is the mean over all pairs.
        forward: How the passes are made. "two_calls" calls the model once per pass, "concat"
            once on the batch put below itself. "shared_prefix" computes once what comes
            before the first stochastic layer, and the rest once per pass, with the masks of
            "two_calls" (functional and sequential models, nested ones and KerasHub tasks).
            "auto" takes "shared_prefix" if the model has a graph, all passes get the same
            input, and at least 5 % of the operations of a plain step come before the first
            stochastic layer; else "two_calls". `describe` says what that gives.
            With "concat" layers that look at the whole batch (BatchNorm) see it twice in one
            call; with the others only the first pass changes such a layer's state.
        views: With `views=passes` the training data give a tuple of inputs, one for each pass:
            several augmentations of the same examples, whose labels they share. With 1 every
            pass gets the same input. Evaluation and prediction take plain inputs.
        every: The divergence is computed on every k-th optimizer step; the others make one
            pass.
        name: Name of the model.

    Raises:
        ValueError: If an argument breaks its rule, the model is not a Keras model, the
            compiled loss has no known divergence, or the model was made in another
            `tf.distribute` scope.

    Example:
    >>> import keras, numpy as np
    >>> from rdrop_tf import RDropModel
    >>> model = keras.Sequential([keras.layers.Dropout(0.1), keras.layers.Dense(3)])
    >>> rdrop = RDropModel(model, alpha=1.0)
    >>> rdrop.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> x, y = np.ones((8, 4), "float32"), np.arange(8) % 3
    >>> history = rdrop.fit(x, y, verbose=0)
    >>> sorted(history.history)
    ['ce', 'kl', 'loss']
    """

    def __init__(
        self,
        model: keras.Model,
        alpha: AlphaLike = 1.0,
        *,
        divergence: str | Divergence = "auto",
        normalize: str = "passes",
        passes: int = 2,
        forward: str = "auto",
        views: int = 1,
        every: int = 1,
        name: str | None = None,
    ) -> None:
        check_arguments(model, divergence, normalize, passes, forward, views, every)
        check_strategy(model)
        weights = Alpha(alpha)
        super().__init__(name=name or f"rdrop_{model.name}", dtype=model.dtype_policy)
        self.model = model
        self.divergence, self.normalize = divergence, normalize
        self.passes, self.views, self.every = passes, views, every
        # Not `forward`: on Torch a model is a module, and that is the name of its call.
        self.forward_mode = forward
        self.alpha_weights = weights
        self._alpha_variables = list(weights.variables.values())
        self.ce_tracker = keras.metrics.Mean(name="ce")
        self.kl_tracker = keras.metrics.Mean(name="kl")
        self.bad_labels_tracker = keras.metrics.Sum(name="bad_labels")
        self.gradient_norm_tracker = keras.metrics.Mean(name="gradient_norm")
        self.skipped_tracker = keras.metrics.Sum(name="skipped")
        self._log_gradient_norm = False
        self._traces = 0.0
        if hasattr(model, "output_names"):
            self.output_names = list(model.output_names)
        self._evaluating = False
        self._vocabulary_heads: VocabularyHeads | None = None
        self._pass_inputs_on()
        self.built = True

    def _pass_inputs_on(self) -> None:
        """Leaves inputs as they are: the wrapped model converts and casts them."""
        self.autocast = False
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True

    # What a user sets and reads

    @property
    def alpha(self) -> AlphaLike:
        """Weight of the divergence; a number can be changed between epochs."""
        return self.alpha_weights.setting

    @alpha.setter
    def alpha(self, alpha: AlphaLike) -> None:
        was_one_pass = self.one_pass
        if getattr(self, "_jax_state", None):
            self.jax_state_sync()
        self.alpha_weights.change(alpha)
        if self.one_pass != was_one_pass and self.train_function is not None:
            self.make_train_function(force=True)

    @property
    def log_gradient_norm(self) -> bool:
        """Whether `fit` logs `gradient_norm`, the mean of the steps' norms; False by default.

        It is the Euclidean norm of all gradients together, of the global batch and without the
        loss scale, before they are clipped. With `gradient_accumulation_steps` it is that of each
        slice. Steps that a loss scale has skipped do not count.
        """
        return self._log_gradient_norm

    @log_gradient_norm.setter
    def log_gradient_norm(self, log: bool) -> None:
        changes = log != self._log_gradient_norm
        self._log_gradient_norm = log
        if changes and self.train_function is not None:
            self.make_train_function(force=True)

    @property
    def skips_non_finite(self) -> bool:
        """Whether steps with a gradient that is NaN or infinite are left out, and counted."""
        return isinstance(getattr(self, "optimizer", None), SkipNonFinite)

    @property
    def _looks_at_gradients(self) -> bool:
        return self._log_gradient_norm or self.skips_non_finite

    @property
    def traces(self) -> int:
        """How often the training step was traced: about once for each new shape of a batch.

        A number that grows from epoch to epoch says that steps are compiled again and again.
        Where nothing is compiled (`run_eagerly=True`, Torch) it is the number of steps.
        """
        return round(self._traces)

    @property
    def one_pass(self) -> bool:
        """Whether alpha is a constant 0: ordinary training."""
        return self.alpha_weights.is_zero

    @property
    def resolved_forward(self) -> str:
        """The way the passes are made: what "auto" stands for, or what was asked for.

        For a sequential model that is not built "auto" stays open until its first batch.
        """
        if self.forward_mode != "auto" or is_unbuilt(self.model):
            return self.forward_mode
        return choose(self.model, "auto", self.views).forward

    @property
    def vocabulary_heads(self) -> VocabularyHeads:
        """The vocabulary heads at the end of the model, whose logits training never holds."""
        if self._vocabulary_heads is not None:
            return self._vocabulary_heads
        found = VocabularyHeads(self.model)
        if not is_unbuilt(self.model):
            self._vocabulary_heads = found
        return found

    def describe(self) -> str:
        """Prints and returns how the passes are made, why, and what that is estimated to cost.

        Operations are estimated from shapes (128 for unknown sizes); a backward pass is taken
        to cost twice a forward pass, and the prefix of "shared_prefix" counts once.
        """
        if is_unbuilt(self.model):
            text = f"'{self.model.name}' is not built: its first layers are known after that."
        else:
            choice = choose(self.model, self.forward_mode, self.views)
            text = description(
                self.model.name,
                choice,
                passes=self.passes,
                every=self.every,
                one_pass=self.one_pass,
            )
        print(text)
        return text

    # Keras

    def call(self, inputs: Nested, training: bool | None = None) -> Nested:
        """Calls the wrapped model, once; of several views on the first."""
        if holds_views(inputs, self.views):
            inputs = inputs[0]
        if takes_training(self.model):
            return self.model(inputs, training=training)
        return self.model(inputs)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        **options: Any,
    ) -> None:
        """Compiles as `keras.Model.compile`; `loss` is the task loss."""
        if not self.one_pass and not self.alpha_weights.by_output:
            check_losses(loss, self.divergence)
        check_optimizer(self, optimizer)
        check_compile(self, options)
        # A model that has been quantized since has other heads.
        self._vocabulary_heads = None
        with scope_of(self):  # what Keras makes of a name, and a loss scale, belong there too
            super().compile(optimizer=optimizer, loss=loss, loss_weights=loss_weights, **options)
        if self.skips_non_finite and self.dtype_policy.name == "mixed_float16":
            raise ValueError(
                "mixed_float16 needs a real loss scale, which skips steps as well: compile with "
                "the optimizer alone. Received: SkipNonFinite"
            )
        if loss is not None:
            self._compile_loss = RDropCompileLoss(
                loss,
                loss_weights,
                getattr(self, "output_names", None),
                alpha=self.alpha_weights,
                divergence=self.divergence,
            )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as the saved model was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.model.built:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Nested = None,
        y: Nested = None,
        y_pred: Nested = None,
        sample_weight: Nested = None,
        training: bool = True,
    ) -> Tensor:
        """Computes the plain task loss of one pass as Keras does, and logs it as `ce`."""
        if self._compile_loss is None:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        task = self._compile_loss(y, y_pred, sample_weight)
        self.ce_tracker.update_state(task, sample_weight=batch_size(x))
        added = [self._aggregate_additional_loss(loss) for loss in self.losses]
        return ops.sum([task, *added]) if added else task

    def compiled_loss_of_passes(
        self, view: PassesInView, y: Nested, y_pred: Nested, sample_weight: Nested
    ) -> Tensor:
        """Computes the compiled loss while all passes are in view."""
        if self._compile_loss is None:
            raise ValueError(
                "RDropModel needs the task loss in `compile(loss=...)`. Received: loss=None"
            )
        return self._compile_loss.with_passes(view, y, y_pred, sample_weight)

    def get_metrics_result(self) -> dict[str, Any]:
        """Returns the values of all metrics that are logged; evaluation has no `kl`."""
        results = dict(super().get_metrics_result())
        results.pop(self.bad_labels_tracker.name, None)
        if self._evaluating:
            results.pop(self.kl_tracker.name, None)
        if self._evaluating or not self._log_gradient_norm:
            results.pop(self.gradient_norm_tracker.name, None)
        if self._evaluating or not self.skips_non_finite:
            results.pop(self.skipped_tracker.name, None)
        return results

    # Data

    def fit(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """Trains as `keras.Model.fit`; warns when R-Drop cannot do anything.

        Args:
            x: Data, as for the wrapped model. For a KerasHub task raw samples. An `EpochData` gives
                each epoch's batches by its number.
            y: Labels, where `x` does not hold them.
            **options: All other arguments of `keras.Model.fit`.
        """
        check_fit(self)
        if isinstance(x, EpochData):
            x.check_model(self.model)
        resumes = find_resumes(options.get("callbacks"))
        by_epoch = resumes is not None or isinstance(x, EpochData)
        by_epoch = by_epoch or goes_by_epoch(self, x, options)
        if not is_chief(self):
            options["verbose"] = 0
        if by_epoch:
            seed = 0 if resumes is None else resumes.seed
            (x, options), y = data_by_epoch(self.model, x, y, options, seed), None
        elif preprocesses(self.model):
            (x, options), y = preprocessed_for_fit(self.model, x, y, options), None
        with listen() as draws, noticing_lost_workers(worker_count(self)):
            options["callbacks"] = _with(
                options.get("callbacks"), Watch(self, draws, is_saved=resumes is not None)
            )
            try:
                if by_epoch:
                    return fit_by_epoch(self, super().fit, x, resumes, options)
                return super().fit(for_workers(self, x), y, **options)
            except Exception as error:
                named = labels.from_graph(error)
                if named is None:
                    raise
                raise named from None

    def evaluate(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """Evaluates as `keras.Model.evaluate`, with one pass."""
        if preprocesses(self.model) and not options.get("_use_cached_eval_dataset"):
            weight, size = options.pop("sample_weight", None), options.pop("batch_size", None)
            x, y = preprocessed(self.model, x, y, weight, batch_size=size), None
        self._evaluating = True
        try:
            return super().evaluate(x, y, **options)
        finally:
            self._evaluating = False

    def predict(self, x: Any, **options: Any) -> Any:
        """Predicts as `keras.Model.predict`, with one pass."""
        if preprocesses(self.model):
            x = preprocessed(self.model, x, batch_size=options.pop("batch_size", None))
        return super().predict(x, **options)

    def export(self, *args: Any, **options: Any) -> Any:
        """Exports the wrapped model, which serves a single pass."""
        return self.model.export(*args, **options)

    # Saving

    def save(self, filepath: Any, *args: Any, **options: Any) -> None:
        """Saves as `keras.Model.save`; of several workers all call it, and the chief writes."""
        with written_by_chief(self, filepath) as path:
            super().save(path, *args, **options)

    def save_weights(self, filepath: Any, *args: Any, **options: Any) -> None:
        """Saves as `keras.Model.save_weights`; of several workers the chief writes."""
        with written_by_chief(self, filepath) as path:
            super().save_weights(path, *args, **options)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, the wrapped model among them."""
        serialize = keras.saving.serialize_keras_object
        model = serialize(self.model)
        # How the wrapped model was compiled by itself is not how it is trained here.
        model.pop("compile_config", None)
        return {
            "model": model,
            "alpha": serialize(self.alpha),
            "divergence": serialize(self.divergence),
            "normalize": self.normalize,
            "passes": self.passes,
            "forward": self.forward_mode,
            "views": self.views,
            "every": self.every,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RDropModel":
        """Makes the wrapped model and its wrapper anew."""
        config = dict(config)
        for key in ("model", "alpha", "divergence"):
            config[key] = keras.saving.deserialize_keras_object(
                config[key], custom_objects=custom_objects
            )
        return cls(**config)

    def get_build_config(self) -> dict[str, Any]:
        """The wrapped model keeps its own."""
        return {}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """The wrapped model is built by its own config."""

    def save_own_variables(self, store: Any) -> None:
        """Saves alpha and the random seed states, which Keras leaves out."""
        super().save_own_variables(store)
        store["seed_states"] = save_seed_states(self)

    def load_own_variables(self, store: Any) -> None:
        """Loads alpha and the random seed states: the next step is the next step."""
        saved = {key: store[key] for key in store.keys()}  # noqa: SIM118 (no mapping)
        load_seed_states(self, saved.pop("seed_states"))
        super().load_own_variables(saved)


def _with(callbacks: Any, watch: Watch) -> Any:
    """Adds a callback without changing the user's list."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        watch.set_params(callbacks.params)
        callbacks.callbacks.append(watch)
        return callbacks
    if callbacks is None:
        return [watch]
    return [*keras.tree.flatten(callbacks), watch]
