from typing import Any

import numpy as np
import pytest

from rdrop_tf.tasks.images.augment import Augmentation


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"crop_padding": -1}, "crop_padding must be 0 or more pixels; got crop_padding=-1"),
        ({"randaugment": 0.0}, "randaugment must be above 0 and at most 1, or None to do without"),
        ({"randaugment": 9}, "randaugment must be above 0 and at most 1, .*; got randaugment=9"),
        ({"mixup_alpha": -0.2}, "mixup_alpha must be above 0, or None .*; got mixup_alpha=-0.2"),
        ({"cutmix_alpha": 1.5}, "cutmix_alpha must be above 0 and at most 1.*cutmix_alpha=1.5"),
        ({"views": 3}, "views must be 1 or 2; got views=3"),
        ({"seed": -1}, "seed must be from 0 to 1,000,000; got seed=-1"),
        ({"mixup_alpha": 0.2}, "need num_classes, 2 or more; got num_classes=None: hand in how"),
        ({"cutmix_alpha": 1, "num_classes": 1}, "need num_classes, 2 or more; got num_classes=1"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Augmentation(**settings)


def test_one_image_is_no_batch() -> None:
    with pytest.raises(ValueError, match=r"must be a batch of shape .*; got the shape \(8, 8, 3\)"):
        Augmentation(flip=True)(np.zeros((8, 8, 3), np.uint8), np.zeros(1, np.int32))


def test_randaugment_needs_colours() -> None:
    with pytest.raises(ValueError, match="randaugment needs images with 3 channels; got 1: rep"):
        Augmentation(randaugment=0.1)(np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int32))
