import json
import platform

import keras
import tensorflow as tf

from rdrop_tf import __version__
from rdrop_tf.tasks.environment import describe_environment


def test_versions_and_machine() -> None:
    described = describe_environment()
    assert json.loads(json.dumps(described)) == described
    assert described["python"] == platform.python_version()
    assert described["versions"]["rdrop_tf"] == __version__
    assert described["versions"]["keras"] == keras.__version__
    assert described["versions"]["tensorflow"] == tf.__version__
    assert described["logical_cores"] >= 1
    assert described["processor"]
