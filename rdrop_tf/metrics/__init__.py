"""What the figures of a task are computed with."""

from rdrop_tf.metrics.glue import (
    GLUE_METRICS,
    accuracy,
    f1,
    glue_metrics,
    matthews,
    pearson,
    spearman,
)

__all__ = [
    "GLUE_METRICS",
    "accuracy",
    "f1",
    "glue_metrics",
    "matthews",
    "pearson",
    "spearman",
]
