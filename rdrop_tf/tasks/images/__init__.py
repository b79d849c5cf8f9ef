"""Image classification: reading, augmentation, models and pictures."""
