"""What the figures of a task are computed with."""

from rdrop_tf.metrics.classification import negative_log_likelihood, top_k_accuracy
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
    "negative_log_likelihood",
    "pearson",
    "spearman",
    "top_k_accuracy",
]
