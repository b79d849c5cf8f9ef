"""A Transformer's own cache finds what a cache of rows finds that are copied."""

from typing import Any

import numpy as np
import pytest

from rdrop_tf.text import Transformer
from rdrop_tf.text.decoding import beam_search, decoder, greedy
from tests.text.transformers import SOURCE_IDS, TARGET_IDS

OPTIONS = {"max_length": 11, "min_length": 3, "no_repeat_ngram": 2}


class RowsAlone:
    """A Transformer without what only it can do."""

    def __init__(self, model: Transformer) -> None:
        self.start, self.step = model.start, model.step


@pytest.mark.parametrize("search", [{"beams": 4, "n_best": 4}, {"beams": 1}, None])
def test_stages_and_ancestors_change_nothing(
    search: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "FIRST_STAGE", 2)
    model = _decisive()
    source = np.array([[4, 5, 6, 7], [7, 4, 0, 0], [5, 0, 0, 0]])
    reached = []
    monkeypatch.setattr(model, "grow", _noting(model.grow, reached))

    def find(form: Any) -> Any:
        if search is None:
            return greedy(form, source, **OPTIONS)
        return beam_search(form, source, **search, **OPTIONS)

    found, expected = find(model), find(RowsAlone(model))
    assert reached == [4, 8, 12]
    np.testing.assert_array_equal(found.tokens, expected.tokens)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-5)
    assert len(np.unique(np.asarray(expected.tokens))) > 4


def test_the_stages_reach_the_length_and_no_further() -> None:
    model = Transformer.of_size("tiny", 10, layers=1)
    assert [decoder.in_stages(model, n)[1] for n in (5, 16, 17, 40)] == [
        [5],
        [16],
        [16, 17],
        [16, 32, 40],
    ]


def _decisive() -> Transformer:
    """Makes a model whose logits differ much, so that no two outputs score alike."""
    model = Transformer(
        SOURCE_IDS, TARGET_IDS, layers=2, width=16, hidden=32, heads=2, share_embeddings="none"
    )
    rng = np.random.default_rng(3)
    model.set_weights([w + rng.normal(scale=0.3, size=w.shape) for w in model.get_weights()])
    return model


def _noting(grow: Any, reached: list[int]) -> Any:
    def noted(cache: Any, length: int) -> Any:
        reached.append(length)
        return grow(cache, length)

    return noted
