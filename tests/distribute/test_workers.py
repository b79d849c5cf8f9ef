"""Two real processes train, evaluate, predict and save as one device does."""

import contextlib
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from benchmarks import exactness_cases as cases
from tests.distribute import fleet

pytestmark = pytest.mark.tensorflow

Found = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def found(folder: Path) -> Found:
    """What each of the two has found."""
    ends = fleet.wait(fleet.start("tests.distribute.worker", str(folder)))
    assert [code for code, _ in ends] == [0, 0], "\n".join(said[-3000:] for _, said in ends)
    return [json.loads((folder / f"{index}.json").read_text("utf-8")) for index in (0, 1)]


def one_device(data: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
    from tests.distribute.worker import trained

    return trained(data, contextlib.nullcontext(), **options)


def assert_same_training(found: Found, scene: str, rdrop: Any, logs: dict[str, Any]) -> None:
    for each in (worker[scene] for worker in found):
        for weight, value in zip(rdrop.get_weights(), each["weights"], strict=True):
            np.testing.assert_allclose(value, weight, rtol=0, atol=1e-6)
        for name, values in logs.items():
            np.testing.assert_allclose(each["logs"][name], values, rtol=2e-6, err_msg=name)
    assert logs["kl"][0] > 1e-3, "the passes must differ, or the test says nothing"


def test_they_train_evaluate_and_predict_as_one_device(found: Found) -> None:
    data = cases.unequal_tokens(cases.ROWS - cases.BATCH + 1)
    rdrop, logs = one_device(data, batch_size=cases.BATCH, shuffle=False)
    assert_same_training(found, "fit_evaluate_predict", rdrop, logs)
    wanted = rdrop.evaluate(*data, batch_size=cases.BATCH, verbose=0, return_dict=True)
    predicted = rdrop.predict(data[0], verbose=0)
    for worker in found:
        each = worker["fit_evaluate_predict"]
        assert each["evaluated"] == pytest.approx(wanted, rel=2e-6)
        np.testing.assert_allclose(each["predicted"], predicted, atol=1e-5)


def test_the_chief_alone_writes_files(found: Found, folder: Path) -> None:
    names = sorted(path.name for path in folder.glob("model-*"))
    assert names == ["model-0.keras", "model-0.weights.h5"]
    loaded = keras.models.load_model(folder / "model-0.keras")
    weights = found[0]["fit_evaluate_predict"]["weights"]
    for weight, value in zip(loaded.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, np.asarray(value, weight.dtype))


def test_arrays_are_shuffled_alike(found: Found) -> None:
    from rdrop_tf.data import ArrayEpochs

    data = ArrayEpochs(cases.unequal_tokens(), batch_size=9)
    rdrop, logs = one_device((data,), epochs=2)
    assert_same_training(found, "shuffled", rdrop, logs)


def test_rows_by_number_are_read_by_one_worker_each(found: Found) -> None:
    from tests.distribute.worker import numbered

    assert_same_training(found, "own_rows", *one_device((numbered([]),), epochs=2))
    first, second = (worker["own_rows"]["read"] for worker in found)
    assert (len(first), len(second)) == (4 + 4 + 4 + 2, 5 + 5 + 5 + 2)
    assert sorted(first + second) == list(range(31))


def test_parts_of_unequal_length(found: Found) -> None:
    import tensorflow as tf

    ids, labels = cases.unequal_tokens(16)
    batches = [[0, 1, 2, 3, 12, 13, 14, 15], [4, 5, 6, 7], [8, 9, 10, 11]]
    parts = [tf.data.Dataset.from_tensors((ids[rows], labels[rows])) for rows in batches]
    data = parts[0].concatenate(parts[1]).concatenate(parts[2])
    assert_same_training(found, "uneven_shards", *one_device((data,), shuffle=False))


def test_masks_of_workers_passes_and_steps_are_equal_by_chance_only(found: Found) -> None:
    masks = [np.asarray(mask) for worker in found for mask in worker["masks"]["masks"]]
    assert len(masks) == 8, "2 workers, 2 steps, 2 passes"
    for place, mask in enumerate(masks):
        for other in masks[:place]:
            assert 0.4 < np.mean(mask == other) < 0.6


def test_an_overflow_on_one_worker_skips_the_step_on_all(found: Found) -> None:
    assert [worker["overflow"] for worker in found] == [{"same": True, "scale": 2.0**14}] * 2


def test_data_that_each_worker_would_see_in_another_order(found: Found) -> None:
    for worker in found:
        assert "give .shuffle() a seed" in worker["refusals"]["no seed"]
        assert "pass shuffle=False" in worker["refusals"]["PyDataset"]
