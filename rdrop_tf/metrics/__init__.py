"""What the figures of a task are computed with."""

from rdrop_tf.metrics.bootstrap import BleuInterval, bleu_interval
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
from rdrop_tf.metrics.moses import MOSES_LANGUAGES, moses_tokenize
from rdrop_tf.metrics.paired import TranslationComparison, compare_translations
from rdrop_tf.metrics.translation import (
    TranslationFigure,
    tokenized_bleu,
    translation_figures,
)

__all__ = [
    "GLUE_METRICS",
    "MOSES_LANGUAGES",
    "BleuInterval",
    "ReliabilityBins",
    "TranslationComparison",
    "TranslationFigure",
    "accuracy",
    "bleu_interval",
    "compare_translations",
    "expected_calibration_error",
    "f1",
    "glue_metrics",
    "matthews",
    "moses_tokenize",
    "negative_log_likelihood",
    "pearson",
    "reliability_bins",
    "spearman",
    "tokenized_bleu",
    "top_k_accuracy",
    "translation_figures",
]
