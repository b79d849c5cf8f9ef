import keras
import numpy as np
import pytest

from rdrop_tf.tasks.variables import assign_all, copies


def test_values_come_back_after_a_change() -> None:
    variables = [keras.Variable(np.arange(3.0)), keras.Variable(7, dtype="int32")]
    values = copies(variables)
    variables[0].assign([9.0, 9.0, 9.0])
    variables[1].assign(1)
    np.testing.assert_array_equal(values[0], [0.0, 1.0, 2.0])
    assign_all(variables, values)
    assert [copy.tolist() for copy in copies(variables)] == [[0.0, 1.0, 2.0], 7]


def test_a_copy_is_not_the_variable() -> None:
    variable = keras.Variable(np.zeros(3))
    copies([variable])[0][:] = 5
    np.testing.assert_array_equal(copies([variable])[0], np.zeros(3))


def test_values_of_other_variables_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        assign_all([keras.Variable(1.0), keras.Variable(2.0)], [np.array(1.0)])
