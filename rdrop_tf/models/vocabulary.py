"""Passes of a model whose outputs are a vocabulary head: hidden states, and the head apart.

Two kinds of heads are known by themselves: `VocabularyHead`, and Keras' `ReversibleEmbedding`
called in reverse, which ends KerasHub's language models. Of a functional model a "trunk" is made
that shares its layers and ends before the heads. In other models the hidden states travel with the
logits of a `VocabularyHead`: see `rdrop_tf.layers.kept_hidden`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops, tree

from rdrop_tf._keras import get_mask, mask_to
from rdrop_tf._typing import Nested, Tensor
from rdrop_tf.layers.vocabulary_head import VocabularyHead
from rdrop_tf.losses.projection import Projection
from rdrop_tf.models.deferred_head import DeferredHead
from rdrop_tf.models.graphs import graph_of
from rdrop_tf.models.passes import Forward, run_passes


class DeferredForward(NamedTuple):
    """The passes, and the heads that some of their outputs lack, by number of the output."""

    forward: Forward
    heads: Mapping[int, DeferredHead]


class VocabularyHeads:
    """The vocabulary heads at the end of one model.

    Args:
        model: The wrapped model.
    """

    def __init__(self, model: keras.Model) -> None:
        graph = graph_of(model)
        # Layers by number of the output, and the model that ends before them.
        self._layers = {} if graph is None else _heads_of(graph)
        self._trunk = _trunk_of(graph, self._layers) if self._layers else None

    @property
    def names(self) -> list[str]:
        """Returns the names of the heads that were found in the graph."""
        return [str(layer.name) for layer in self._layers.values()]

    def run(self, rdrop: keras.Model, inputs: Sequence[Nested], forward: str) -> DeferredForward:
        """Makes the passes of a training step up to the heads.

        Args:
            rdrop: The RDropModel around the model.
            inputs: The batch of each pass.
            forward: How the passes are made; see `run_passes`.
        """
        if self._trunk is None:
            return DeferredForward(run_passes(rdrop, inputs, forward), {})
        passes = run_passes(self._trunk, inputs, forward)
        heads = {i: _deferred(layer) for i, layer in self._layers.items()}
        apart = [_apart(one, heads) for one in passes.predictions]
        added = _plus(passes.added_loss, self._losses_of_heads())
        return DeferredForward(Forward(apart, added), heads)

    def _losses_of_heads(self) -> list[Tensor]:
        """Regularisation losses of weights that the trunk does not have."""
        assert self._trunk is not None
        known = {id(v) for v in self._trunk.trainable_variables}
        others = {id(v): v for layer in self._layers.values() for v in layer.trainable_variables}
        return [
            v.regularizer(v)
            for v in others.values()
            if id(v) not in known and v.regularizer is not None
        ]


def _heads_of(graph: Any) -> dict[int, Any]:
    leaves = tree.flatten(graph._outputs_struct)
    found = {i: _head_behind(leaf) for i, leaf in enumerate(leaves)}
    return {i: layer for i, layer in found.items() if layer is not None}


def _head_behind(output: Any) -> Any:
    """Returns the vocabulary head whose call made a symbolic output, or None."""
    layer, node = _origin(output)
    if isinstance(layer, VocabularyHead):
        return layer
    if not isinstance(layer, keras.layers.ReversibleEmbedding):
        return None
    arguments = node.arguments
    reverse = arguments.kwargs.get("reverse", len(arguments.args) > 1 and arguments.args[1])
    plain = (
        layer.logit_soft_cap is None
        and layer.activity_regularizer is None
        and layer.quantization_mode is None
    )
    return layer if reverse and plain else None


def _origin(output: Any) -> tuple[Any, Any]:
    history = output._keras_history
    return history.operation, history.operation._inbound_nodes[history.node_index]


def _trunk_of(graph: Any, heads: Mapping[int, Any]) -> keras.Model:
    """Makes the model that shares a graph's layers and ends before the heads."""
    leaves = tree.flatten(graph._outputs_struct)
    for i in heads:
        _, node = _origin(leaves[i])
        leaves[i] = node.input_tensors[0]
    outputs = tree.pack_sequence_as(graph._outputs_struct, leaves)
    return keras.Model(graph._inputs_struct, outputs, name=f"{graph.name}_trunk")


def _deferred(layer: Any) -> DeferredHead:
    if isinstance(layer, VocabularyHead):
        return DeferredHead(layer.projection(), dtype=layer.compute_dtype)
    kernel = layer.embeddings if layer.tie_weights else layer.reverse_embeddings
    dtype = layer.reverse_dtype or layer.compute_dtype
    projection = Projection(
        ops.cast(kernel, dtype),
        transposed=layer.tie_weights,
        kernel_is_trained=bool(layer.trainable_variables),
    )
    return DeferredHead(projection, dtype=dtype, keeps_mask=False)


def _apart(outputs: Nested, heads: Mapping[int, DeferredHead]) -> Nested:
    """Gives each head hidden states of its own where outputs are the very same tensor."""
    leaves = tree.flatten(outputs)
    ids = [id(leaf) for leaf in leaves]
    for i, head in heads.items():
        if ids.count(ids[i]) > 1:
            leaves[i] = ops.multiply(leaves[i], ops.ones((), leaves[i].dtype))
            if head.keeps_mask:
                mask_to(leaves[i], get_mask(tree.flatten(outputs)[i]))
    return tree.pack_sequence_as(outputs, leaves)


def _plus(added: Tensor | None, losses: list[Tensor]) -> Tensor | None:
    if not losses:
        return added
    total = ops.sum(ops.stack([ops.sum(loss) for loss in losses]))
    return total if added is None else total + added
