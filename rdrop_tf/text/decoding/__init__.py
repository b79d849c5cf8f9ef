"""From the logits of a model to the tokens of its outputs: beam search, greedy, sampling."""

from rdrop_tf.text.decoding.beam_search import beam_search
from rdrop_tf.text.decoding.decoder import Decoder
from rdrop_tf.text.decoding.generator import Generator
from rdrop_tf.text.decoding.greedy import greedy
from rdrop_tf.text.decoding.hypotheses import Hypotheses
from rdrop_tf.text.decoding.sample import sample

__all__ = ["Decoder", "Generator", "Hypotheses", "beam_search", "greedy", "sample"]
