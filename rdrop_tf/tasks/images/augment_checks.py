"""What an augmentation refuses."""

from rdrop_tf._typing import Tensor


def check_images(images: Tensor, needs_colour: bool) -> None:
    """Refuses what is no batch, or has no colours where they are needed."""
    shape = tuple(images.shape)
    if len(shape) != 4:
        raise ValueError(
            "images must be a batch of shape (rows, height, width, channels); got the shape "
            f"{shape}: add the missing axis, or batch the data first"
        )
    if needs_colour and shape[-1] != 3:
        raise ValueError(
            f"randaugment needs images with 3 channels; got {shape[-1]}: repeat the channel "
            "three times, or leave randaugment out"
        )


def check_settings(
    crop_padding: int,
    randaugment: float | None,
    mixup_alpha: float | None,
    cutmix_alpha: float | None,
    views: int,
    seed: int,
) -> None:
    """Refuses settings out of their range."""
    _check("crop_padding", crop_padding, crop_padding >= 0, "0 or more pixels")
    for name, value, most in (
        ("randaugment", randaugment, 1.0),
        ("mixup_alpha", mixup_alpha, float("inf")),
        ("cutmix_alpha", cutmix_alpha, 1.0),
    ):
        rule = "above 0" + (f" and at most {most:g}" if most == 1 else "")
        _check(name, value, value is None or 0 < value <= most, f"{rule}, or None to do without")
    _check("views", views, views in (1, 2), "1 or 2")
    _check("seed", seed, 0 <= seed <= 1_000_000, "from 0 to 1,000,000")


def _check(name: str, value: float | None, fits: bool, rule: str) -> None:
    if not fits:
        raise ValueError(f"{name} must be {rule}; got {name}={value}")


def check_classes(mixes: bool, num_classes: int | None) -> None:
    """Refuses mixing without a number of classes."""
    if mixes and (num_classes is None or num_classes < 2):
        raise ValueError(
            "mixup_alpha and cutmix_alpha make soft labels and need num_classes, 2 or more; "
            f"got num_classes={num_classes}: hand in how many classes there are"
        )
