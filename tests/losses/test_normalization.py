import pytest

from rdrop_tf.losses.normalization import NORMALIZATIONS, factors


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_the_mean_of_the_passes_and_half_of_alpha(passes):
    assert factors(3.0, "passes", passes) == (1 / passes, 1.5)


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_the_paper_adds_the_passes_up(passes):
    assert factors(3.0, "paper", passes) == (1, 3)


def test_for_two_passes_the_paper_is_twice_the_default():
    assert NORMALIZATIONS == ("passes", "paper")
    half, whole = (factors(0.7, name, 2) for name in NORMALIZATIONS)
    assert whole == (2 * half[0], 2 * half[1])
