import numpy as np
import pytest

from rdrop_tf.tasks.images import check_labels


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32"])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_class_numbers_become_int32(dtype: str, shape: tuple[int, ...]) -> None:
    labels = check_labels(np.array([0, 9, 4], dtype).reshape(shape), num_classes=10)
    assert labels.dtype == np.int32
    assert labels.tolist() == [0, 9, 4]


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (
            [0, 10, 3, 12],
            "y must be below the number of classes, 10; got 10 in row 1 .* and 2 such",
        ),
        ([0, 1, -1], "y must be class numbers from 0 on; got -1 in row 2"),
        ([0.0, 1.5], "y must be whole numbers; got 1.5 in row 1"),
        ([0.0, float("nan")], "y must be whole numbers; got nan in row 1"),
        ([0.0, float("inf")], "y must be whole numbers; got inf in row 1"),
        ([[0, 1], [1, 0]], r"got the shape \(2, 2\) of int64: turn one-hot codes into numbers"),
        (["cat"], "y must hold one class number a row"),
    ],
)
def test_a_label_that_is_none_is_named_with_its_row(labels: list[object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_labels(np.array(labels), num_classes=10, name="y")


def test_without_a_number_of_classes_any_fits_but_what_int32_cannot_hold() -> None:
    assert check_labels(np.array([70_000])).tolist() == [70_000]
    with pytest.raises(ValueError, match=r"below the number of classes.*; got 2147483648 in row 0"):
        check_labels(np.array([2**31]))
