"""R-Drop for Keras 3: two dropout passes of each example, kept consistent."""

from rdrop_tf import losses
from rdrop_tf._version import __version__
from rdrop_tf.losses import RDropLoss

__all__ = ["RDropLoss", "__version__", "losses"]
