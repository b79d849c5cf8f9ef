import numpy as np
import pytest

from rdrop_tf.tasks import Examples, NumberedRows
from rdrop_tf.tasks.held_out import hold_out

pytestmark = pytest.mark.one_backend


def _examples(rows: int) -> Examples:
    return Examples(np.arange(rows), np.arange(rows) % 2)


def _numbered(rows: int) -> NumberedRows:
    return NumberedRows(lambda numbers: (numbers, numbers), rows)


@pytest.mark.parametrize(("validation", "held"), [(0.2, 8), (0.21, 8), (0.25, 9), (6, 6)], ids=str)
def test_a_share_is_rounded_up_and_a_number_taken_as_it_is(validation: float, held: int) -> None:
    for part in (_examples(36), _numbered(36)):
        kept, rest = hold_out(part, validation, seed=0, by_class=True)
        assert (kept.rows, rest.rows) == (36 - held, held)


@pytest.mark.parametrize("by_class", [True, False])
@pytest.mark.parametrize(("rows", "validation"), [(1, 0.1), (2, 0.1), (40, 0.99), (40, 40)])
def test_too_few_rows(rows: int, validation: float, by_class: bool) -> None:
    if (rows, by_class) == (2, False):
        assert hold_out(_examples(2), 0.1, seed=0, by_class=False)[1].rows == 1
        return
    text = rf"; got validation={validation} of {rows} rows.*: use more rows, another share, or"
    for part in [_examples(rows)] if by_class else [_examples(rows), _numbered(rows)]:
        with pytest.raises(ValueError, match=text):
            hold_out(part, validation, seed=0, by_class=by_class)
