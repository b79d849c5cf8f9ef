"""Data, model, loss, metric and decoding put together, and what runs them."""

from rdrop_tf.tasks.compare import compare, work_of_a_comparison
from rdrop_tf.tasks.comparison import Comparison
from rdrop_tf.tasks.consistency import ConsistencyProbe, pass_divergence
from rdrop_tf.tasks.evaluate import Evaluation, evaluate
from rdrop_tf.tasks.parts import Examples, NumberedRows, Part, Splits, Stream
from rdrop_tf.tasks.predict import predict, write_submissions
from rdrop_tf.tasks.progress import Progress
from rdrop_tf.tasks.registry import make_task, task_of_run
from rdrop_tf.tasks.report import report
from rdrop_tf.tasks.run_folder import RunFolder
from rdrop_tf.tasks.statistics import PairedDifference, paired_difference, verdict
from rdrop_tf.tasks.task import Metric, Task
from rdrop_tf.tasks.tiny_vit import tiny_vit
from rdrop_tf.tasks.train import RunResult, train, work_of_an_epoch

__all__ = [
    "Comparison",
    "ConsistencyProbe",
    "Evaluation",
    "Examples",
    "Metric",
    "NumberedRows",
    "PairedDifference",
    "Part",
    "Progress",
    "RunFolder",
    "RunResult",
    "Splits",
    "Stream",
    "Task",
    "compare",
    "evaluate",
    "make_task",
    "paired_difference",
    "pass_divergence",
    "predict",
    "report",
    "task_of_run",
    "tiny_vit",
    "train",
    "verdict",
    "work_of_a_comparison",
    "work_of_an_epoch",
    "write_submissions",
]
