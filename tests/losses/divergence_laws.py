"""What holds for every divergence; the test file of each one names it in a subclass."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from keras import ops

from . import reference
from .cases import STYLES, STYLES_WITH_INFINITY, draw_logits
from .gradients import central_differences, gradients, value_and_gradients

CASES = 200
SHAPES = [(1, 3), (5, 1), (2, 3, 7)]
RELATIVE = {"float64": 1e-12, "float32": 2e-6}
# Below the relative error a divergence is only known as well as the probabilities it
# compares, to half a unit in the last place of 1: no formula can tell less from 0. In
# float64 the reference rounds as well, its Σ p log p/q in each of its terms.
ABSOLUTE = {"float64": 2.0**-51, "float32": 2.0**-24}


def tolerance(expected: np.ndarray, dtype: str, scale: float | np.ndarray = 1.0) -> np.ndarray:
    """Returns the error allowed for a value whose divergences have weights of such a sum."""
    return RELATIVE[dtype] * np.abs(expected) + ABSOLUTE[dtype] * scale


class DivergenceLaws:
    """A subclass gives `function`, its `expected` value by the definition, and `plain`.

    `plain` is the formula as one would type it, in whatever dtype its arguments have;
    `head` is the activation that makes probabilities of logits.
    """

    function: Callable[..., Any]
    expected: Callable[..., np.ndarray]
    plain: Callable[..., Any]
    head: Callable[[Any], Any] = staticmethod(ops.softmax)
    reference_head: Callable[[np.ndarray], np.ndarray] = staticmethod(
        lambda x: np.exp(reference.log_softmax(x))
    )
    takes_probabilities = True
    styles_with_infinity = STYLES_WITH_INFINITY

    @pytest.mark.usefixtures("float64")
    def test_equals_the_definition_in_float64(self) -> None:
        self._check_generated_cases("float64")

    def test_equals_the_definition_in_float32(self) -> None:
        self._check_generated_cases("float32")

    def test_small_differences_keep_their_digits(self) -> None:
        """The error shrinks with the distance of the passes; it is not a fixed 1e-7."""
        rng = np.random.default_rng(3)
        for noise in (1e-1, 1e-2, 1e-3, 1e-4):
            a = (2 * rng.normal(size=(500, 7))).astype("float32")
            b = (a + noise * rng.normal(size=a.shape)).astype("float32")
            expected = self.expected(a.astype("float64"), b.astype("float64"), True)
            error = np.abs(ops.convert_to_numpy(self.function(a, b)) - expected)
            # Each logarithm of a probability is off by 1e-7 of its size, about 5 here.
            assert np.max(error / np.sqrt(expected)) < 1e-6

    @pytest.mark.usefixtures("float64")
    def test_gradients_of_both_passes_equal_numeric_ones(self) -> None:
        for a, b in self._pairs("normal", "close", "peaked", *self.styles_with_infinity[:1]):
            found = gradients(self.function, a, b)
            expected = central_differences(lambda a, b: self.expected(a, b, True), a, b)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    def test_equal_passes_give_exactly_zero(self, dtype: str) -> None:
        def of_both(ab: Any) -> Any:
            options = {"from_logits": from_logits} if self.takes_probabilities else {}
            return self.function(*_cast_both(ab, dtype), **options)

        for logits, _ in self._pairs(*STYLES, *self.styles_with_infinity):
            for from_logits in (True, False) if self.takes_probabilities else (True,):
                x = logits if from_logits else self.reference_head(logits)
                value, found = value_and_gradients(of_both, np.stack([x, x]).astype("float32"))
                assert value == 0
                assert np.all(found[0] == 0)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_half_precision_is_no_worse_than_the_plain_formula_in_it(self, dtype: str) -> None:
        a, b = draw_logits(np.random.default_rng(6), (20, 3, 7), "normal", 2)
        a, b = (ops.cast(x, dtype) for x in (a, b))
        wide = [ops.convert_to_numpy(ops.cast(x, "float32")).astype("float64") for x in (a, b)]
        expected = self.expected(*wide, True)
        found = ops.convert_to_numpy(self.function(a, b)).astype("float64")
        plain = ops.convert_to_numpy(ops.cast(self.plain(a, b), "float32")).astype("float64")
        error, plain_error = np.abs(found - expected), np.abs(plain - expected)
        # Where a probability rounds to 1 the plain formula may say NaN.
        plain_error = np.nan_to_num(plain_error, nan=np.inf)
        assert np.all(error <= np.maximum(plain_error, tolerance(expected, "float32")))
        assert np.median(error) < np.median(plain_error) / 100

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_half_precision_gradient_is_no_worse_than_the_plain_one(self, dtype: str) -> None:
        a, b = draw_logits(np.random.default_rng(7), (2, 3, 7), "normal", 2)
        ab = ops.convert_to_numpy(ops.cast(ops.cast(np.stack([a, b]), dtype), "float32"))
        wide = [x.astype("float64") for x in ab]
        expected = central_differences(lambda a, b: self.expected(a, b, True), *wide)
        found, plain = (
            value_and_gradients(lambda ab, f=f: f(*_cast_both(ab, dtype)), ab)[1][0]
            for f in (self.function, self.plain)
        )
        error, plain_error = np.abs(found - expected), np.abs(plain - expected)
        assert np.mean(error) <= np.mean(np.nan_to_num(plain_error, nan=np.inf))

    def test_refuses_passes_of_different_shapes(self) -> None:
        a, b = np.zeros((2, 3), "float32"), np.zeros((2, 4), "float32")
        with pytest.raises(ValueError, match=r"must have the same shape.*\(2, 3\) and \(2, 4\)"):
            self.function(a, b)

    def test_refuses_scalars(self) -> None:
        with pytest.raises(ValueError, match=r"at least one axis.*Received: shape \(\)"):
            self.function(np.float32(0), np.float32(0))

    def _check_generated_cases(self, dtype: str) -> None:
        rng, finite = np.random.default_rng(0), 0
        for case in range(CASES):
            shape = SHAPES[case % len(SHAPES)]
            infinities = self.styles_with_infinity if shape[-1] > 1 else []
            style = rng.choice([*STYLES, *infinities])
            a, b = draw_logits(rng, shape, style, 2)
            from_logits = not self.takes_probabilities or style == "huge" or rng.random() < 0.7
            if not from_logits:
                a, b = self.reference_head(a), self.reference_head(b)
                # Zeros have a rule of their own: they count as the smallest probability.
                a, b = (np.clip(x, 1e-20, 1 - 1e-7) for x in (a, b))
            a, b = a.astype(dtype), b.astype(dtype)
            options = {"from_logits": from_logits} if self.takes_probabilities else {}
            found = ops.convert_to_numpy(self.function(a, b, **options))
            expected = self.expected(a.astype("float64"), b.astype("float64"), from_logits)
            assert found.shape == shape[:-1]
            assert found.dtype == dtype
            assert not np.any(np.isnan(found))
            assert np.min(found) >= -1e-7
            usual = np.isfinite(expected)
            assert np.array_equal(np.isfinite(found), usual)
            error = np.abs(found[usual] - expected[usual])
            assert np.all(error <= tolerance(expected[usual], dtype)), (case, style)
            finite += np.all(usual)
        assert finite > CASES / 2

    def _pairs(self, *styles: str) -> list[list[np.ndarray]]:
        """Two passes in each of the styles."""
        rng = np.random.default_rng(1)
        return [draw_logits(rng, (2, 3, 7), style, 2) for style in styles]


class HeadLaws(DivergenceLaws):
    """What holds besides for a divergence that takes logits or probabilities."""

    @pytest.mark.usefixtures("float64")
    def test_gradients_through_a_head_equal_numeric_ones(self) -> None:
        a, b = draw_logits(np.random.default_rng(2), (2, 3, 7), "normal", 2)
        head, function = self.head, self.function
        found = gradients(lambda a, b: function(head(a), head(b), from_logits=False), a, b)
        expected = central_differences(lambda a, b: self.expected(a, b, True), a, b)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    def test_gradient_of_a_saturated_head_is_finite(self, dtype: str) -> None:
        # Rows with one class, several and all of them at the top.
        a, b = np.random.default_rng(8).integers(-1, 2, (2, 2, 3, 7)).astype("float64")
        a[0, 0] = 1.0

        def divergence(ab: Any) -> Any:
            a, b = _cast_both(ab, dtype)
            return self.function(self.head(a), self.head(b), from_logits=False)

        for size in (1, 10, 14, 16, 20, 60, 80, 100, 1e4):
            ab = (size * np.stack([a, b])).astype("float32")
            value, found = value_and_gradients(divergence, ab)
            assert np.isfinite(value), size
            assert np.all(np.isfinite(found[0])), size


class SwapLaw(DivergenceLaws):
    """What holds besides for a divergence without a direction."""

    def test_swapped_passes_give_the_very_same_value(self) -> None:
        for a, b in self._pairs(*STYLES, *self.styles_with_infinity):
            a32, b32 = a.astype("float32"), b.astype("float32")
            one, other = self.function(a32, b32), self.function(b32, a32)
            np.testing.assert_array_equal(*map(ops.convert_to_numpy, (one, other)))


def _cast_both(ab: Any, dtype: str) -> tuple[Any, Any]:
    """Both passes in one tensor, in half precision if asked: NumPy has no bfloat16."""
    return ops.cast(ab[0], dtype), ops.cast(ab[1], dtype)
