"""R-Drop for Keras 3: two dropout passes of each example, kept consistent."""

import sys

from rdrop_tf._version import __version__

# Loading a saved model needs our classes registered, so they are imported with the package. Only
# the command, which starts with `rdrop_launcher`, goes without until it has read its arguments.
if "rdrop_launcher" not in sys.modules:
    from rdrop_tf import layers, losses, models
    from rdrop_tf.losses import RDropLoss
    from rdrop_tf.models import RDropModel

__all__ = ["RDropLoss", "RDropModel", "__version__", "layers", "losses", "models"]
