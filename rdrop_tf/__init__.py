"""R-Drop for Keras 3: two dropout passes of each example, kept consistent."""

from rdrop_tf import losses, models
from rdrop_tf._version import __version__
from rdrop_tf.losses import RDropLoss
from rdrop_tf.models import RDropModel

__all__ = ["RDropLoss", "RDropModel", "__version__", "losses", "models"]
