"""GLUE: nine data sets of one or two English texts, and the diagnostic one."""

from rdrop_tf.tasks.glue.dataset import GlueDataset, SubmissionFile, section_of
from rdrop_tf.tasks.glue.datasets import GLUE_DATASETS, find_glue_dataset
from rdrop_tf.tasks.glue.lines import texts_from_line
from rdrop_tf.tasks.glue.rows import GlueRows
from rdrop_tf.tasks.glue.submission import Submission, write_submission
from rdrop_tf.tasks.glue.tfds_split import read_tfds_split
from rdrop_tf.tasks.glue.tsv_split import read_tsv_split

__all__ = [
    "GLUE_DATASETS",
    "GlueDataset",
    "GlueRows",
    "Submission",
    "SubmissionFile",
    "find_glue_dataset",
    "read_tfds_split",
    "read_tsv_split",
    "section_of",
    "texts_from_line",
    "write_submission",
]
