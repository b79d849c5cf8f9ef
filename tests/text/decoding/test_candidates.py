import numpy as np
import pytest
from keras import ops

from rdrop_tf.text.decoding.candidates import best_candidates
from rdrop_tf.text.decoding.lengths import Limits
from rdrop_tf.text.decoding.rules import Rules


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nothing_goes_on_from_a_beam_without_probabilities(value: float) -> None:
    """Nor are the candidates of the other beams anything but numbers."""
    logits = np.zeros((2, 2, 6), "float32")
    logits[0, 1] = value
    found, broken = best_candidates(
        ops.convert_to_tensor(logits),
        ops.zeros((2, 2)),
        ops.zeros((2, 2, 4), "int32"),
        ops.convert_to_tensor(0, "int32"),
        Limits(ops.zeros((2,), "int32"), ops.full((2,), 3, "int32")),
        Rules(),
        4,
    )
    totals, parents, _ = (ops.convert_to_numpy(part) for part in found)
    np.testing.assert_array_equal(ops.convert_to_numpy(broken), [True, False])
    np.testing.assert_allclose(totals, np.full((2, 4), -np.log(6)), rtol=1e-6)
    assert set(parents[0]) == {0}
