"""The mathematics of R-Drop: pure functions of arrays, and the loss made of them."""

from rdrop_tf.losses.bernoulli_kl import bernoulli_kl
from rdrop_tf.losses.convert_alpha import convert_alpha
from rdrop_tf.losses.jensen_shannon import jensen_shannon
from rdrop_tf.losses.kl_forward import kl_forward
from rdrop_tf.losses.linear_rdrop import linear_rdrop
from rdrop_tf.losses.rdrop_loss import RDropLoss
from rdrop_tf.losses.smoothed import SmoothedSparseCategoricalCrossentropy
from rdrop_tf.losses.squared_difference import squared_difference
from rdrop_tf.losses.symmetric_kl import symmetric_kl

__all__ = [
    "RDropLoss",
    "SmoothedSparseCategoricalCrossentropy",
    "bernoulli_kl",
    "convert_alpha",
    "jensen_shannon",
    "kl_forward",
    "linear_rdrop",
    "squared_difference",
    "symmetric_kl",
]
