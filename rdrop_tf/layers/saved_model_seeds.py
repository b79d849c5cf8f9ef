"""Frees the noise of a SavedModel from seeds that were fixed when it was exported.

`tf.random.set_seed` and `seed=` arguments write numbers into the graph. TensorFlow restarts
from them at every place a function is called: the two passes of one step, and all replicas,
would draw the same masks, and the divergence would be 0.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from rdrop_tf.layers.saved_model_files import folder_of


class FreedFolder:
    """A SavedModel's folder, or one beside it whose program has no fixed seeds.

    Attributes:
        path: The folder to load. Must outlive what is loaded from it, whose assets it holds.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        program = _read(folder)
        seeds = list(_fixed_seeds(program))
        if seeds:
            for node in seeds:
                node.attr["seed"].i = node.attr["seed2"].i = 0
            self.path = folder_of(self)
            self._fill(folder, program)

    def _fill(self, folder: Path, program: Any) -> None:
        (self.path / "saved_model.pb").write_bytes(program.SerializeToString())
        for part in ("variables", "assets"):
            if (folder / part).exists():
                (self.path / part).symlink_to((folder / part).resolve())


def _read(folder: Path) -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    program = SavedModel()
    try:
        program.ParseFromString((folder / "saved_model.pb").read_bytes())
    except import_module("google.protobuf.message").DecodeError as error:
        raise OSError(
            "The file saved_model.pb must be a SavedModel of TensorFlow. "
            f"Received: '{folder / 'saved_model.pb'}', which cannot be read ({error}); copy or "
            "download the SavedModel again"
        ) from error
    return program


def _fixed_seeds(program: Any) -> Iterator[Any]:
    """Yields the random operations whose seed is written into the graph."""
    for graph in (meta.graph_def for meta in program.meta_graphs):
        for nodes in [graph.node, *(function.node_def for function in graph.library.function)]:
            for node in nodes:
                if draws(node) and _is_seeded(node):
                    yield node


def _is_seeded(node: Any) -> bool:
    return any(name in node.attr and node.attr[name].i for name in ("seed", "seed2"))


def draws(node: Any) -> bool:
    """Whether a node of a graph draws random numbers."""
    return "Random" in node.op or "Rng" in node.op or {"seed", "seed2"} <= set(node.attr)
