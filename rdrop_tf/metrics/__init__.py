"""What the figures of a task are computed with."""

from rdrop_tf.metrics.calibration import (
    ReliabilityBins,
    expected_calibration_error,
    reliability_bins,
)
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
    "ReliabilityBins",
    "accuracy",
    "expected_calibration_error",
    "f1",
    "glue_metrics",
    "matthews",
    "negative_log_likelihood",
    "pearson",
    "reliability_bins",
    "spearman",
    "top_k_accuracy",
]
