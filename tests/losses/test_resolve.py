import keras
import numpy as np
import pytest
from keras import ops

from rdrop_tf.losses import jensen_shannon, squared_difference, symmetric_kl
from rdrop_tf.losses.heads import BernoulliHead, PlainHead, RegressionHead, SoftmaxHead
from rdrop_tf.losses.resolve import DIVERGENCES, name_if_known, resolve_head, resolve_loss

pytestmark = pytest.mark.one_backend

TASKS = keras.losses


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sparse_categorical_crossentropy", TASKS.SparseCategoricalCrossentropy),
        ("categorical_crossentropy", TASKS.CategoricalCrossentropy),
        ("binary_crossentropy", TASKS.BinaryCrossentropy),
        ("mse", TASKS.MeanSquaredError),
        ("mae", TASKS.MeanAbsoluteError),
        ("huber", TASKS.Huber),
        ("log_cosh", TASKS.LogCosh),
        (TASKS.sparse_categorical_crossentropy, TASKS.SparseCategoricalCrossentropy),
        (TASKS.mean_squared_error, TASKS.MeanSquaredError),
        (TASKS.MeanSquaredError(), TASKS.MeanSquaredError),
    ],
)
def test_a_name_a_function_and_an_object_lead_to_the_same_loss(given, expected):
    assert type(resolve_loss(given)) is expected


def test_keras_wrapper_of_a_function_keeps_its_options():
    """What Keras' own compile makes of a function."""
    wrapped = keras.src.losses.losses.LossFunctionWrapper(
        TASKS.sparse_categorical_crossentropy, reduction="sum", name="mine", from_logits=True
    )
    found = resolve_loss(wrapped)
    assert type(found) is TASKS.SparseCategoricalCrossentropy
    assert (found.from_logits, found.reduction, found.name) == (True, "sum", "mine")


def test_a_function_of_ones_own_becomes_a_loss():
    def mine(y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred), axis=-1)

    found = resolve_loss(mine)
    assert found.name == "mine"
    assert float(found(np.zeros((2, 3)), np.full((2, 3), 2.0))) == 2


@pytest.mark.parametrize(
    ("loss", "head"),
    [
        (TASKS.SparseCategoricalCrossentropy(), SoftmaxHead),
        (TASKS.CategoricalCrossentropy(), SoftmaxHead),
        (TASKS.BinaryCrossentropy(), BernoulliHead),
        (TASKS.MeanSquaredError(), RegressionHead),
        (TASKS.MeanAbsoluteError(), RegressionHead),
        (TASKS.Huber(), RegressionHead),
        (TASKS.LogCosh(), RegressionHead),
    ],
)
def test_auto_knows_the_losses_of_the_table(loss, head):
    assert type(resolve_head(loss, "auto")) is head


def test_options_of_the_loss_reach_its_head():
    sparse = TASKS.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3)
    head = resolve_head(sparse, "auto")
    assert (head.from_logits, head.sparse, head.ignore_class) == (True, True, 3)
    dense = TASKS.CategoricalCrossentropy(label_smoothing=0.2, axis=1)
    head = resolve_head(dense, "auto")
    assert (head.from_logits, head.sparse) == (False, False)
    assert (head.label_smoothing, head.axis) == (0.2, 1)
    binary = TASKS.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
    head = resolve_head(binary, "auto")
    assert (head.from_logits, head.label_smoothing) == (True, 0.1)


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize(
    "loss",
    [
        TASKS.SparseCategoricalCrossentropy(),
        TASKS.BinaryCrossentropy(),
        TASKS.MeanSquaredError(),
    ],
)
def test_every_name_fits_or_is_refused_in_a_sentence(loss, name):
    fits = {
        "sparse_categorical_crossentropy": set(DIVERGENCES) - {"bernoulli_kl"},
        "binary_crossentropy": set(DIVERGENCES),
        "mean_squared_error": {"auto", "squared_difference"},
    }
    if name in fits[loss.name]:
        resolve_head(loss, name)
    else:
        with pytest.raises(ValueError, match=f"divergence='{name}' does not fit the loss"):
            resolve_head(loss, name)


class Focal(keras.losses.Loss):
    """A loss that this package does not know, of logits."""

    from_logits = True

    def call(self, y_true, y_pred):
        log_p = ops.log_softmax(y_pred)
        return -ops.sum(y_true * (1 - ops.exp(log_p)) ** 2 * log_p, axis=-1)


def test_a_foreign_loss_may_name_its_divergence_if_it_says_what_it_predicts():
    head = resolve_head(Focal(), "symmetric_kl")
    rng = np.random.default_rng(0)
    a, b = (ops.convert_to_tensor(rng.normal(size=(4, 3)).astype("float32")) for _ in "ab")
    y_true = ops.one_hot([0, 1, 2, 0], 3)
    found = head.positions(y_true, [a, b])
    for one, other in (
        (found.task[0], Focal().call(y_true, a)),
        (found.task[1], Focal().call(y_true, b)),
        (found.divergence, symmetric_kl(a, b)),
    ):
        np.testing.assert_allclose(*map(ops.convert_to_numpy, (one, other)), rtol=1e-6)
    assert type(resolve_head(Focal(), "bernoulli_kl")) is BernoulliHead
    assert type(resolve_head(Focal(), "squared_difference")) is PlainHead


def test_a_foreign_loss_that_does_not_say_is_refused():
    words = (
        "divergence='symmetric_kl' has to know whether the model puts out logits, and the loss "
        "`poisson` has no attribute `from_logits`: set it to True or False on the loss"
    )
    with pytest.raises(ValueError, match=words):
        resolve_head(TASKS.Poisson(), "symmetric_kl")


def test_a_squared_difference_of_a_foreign_loss_takes_predictions_without_units():
    head = resolve_head(TASKS.Poisson(), "squared_difference")
    a, b = (ops.convert_to_tensor(np.array(x, "float32")) for x in ([1.0, 2.0], [1.0, 5.0]))
    found = head.positions(np.ones(2, "float32"), [a, b])
    np.testing.assert_array_equal(ops.convert_to_numpy(found.divergence), [0.0, 9.0])


def test_functions_of_the_package_are_taken_by_name():
    assert name_if_known(jensen_shannon) == "jensen_shannon"
    assert name_if_known(squared_difference) == "squared_difference"
    assert name_if_known("auto") == "auto"

    def mine(a, b):
        return ops.sum(a - b, axis=-1)

    assert name_if_known(mine) is mine
