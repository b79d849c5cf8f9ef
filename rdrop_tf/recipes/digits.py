"""scikit-learn's handwritten digits: the main job, which needs no download.

Everything but alpha was chosen for ordinary training (alpha 0), and alpha afterwards by
`python -m tools.choose_alpha digits`: the best mean on the validation images among 0.5, 1, 2 and
5, over seeds that no comparison reports (benchmarks/results/digits-choice.json). The test images
chose nothing.
"""

from rdrop_tf.recipes.recipe import Optimizer, Recipe

DIGITS = Recipe(
    name="digits",
    task="digits",
    summary="which digit is it? 8x8 grey images, 200 to learn from, a 2-layer vision transformer",
    source="bundled with scikit-learn (UCI Optical Recognition of Handwritten Digits)",
    paper="not a data set of the paper",
    alpha=0.5,
    forward="concat",
    seeds=5,
    epochs=80,
    batch_size=50,
    optimizer=Optimizer(learning_rate=4e-3, warmup=0.1),
    validate_every=2,
    probe_every=10,
    data={"train": 200, "validation": 400, "seed": 0},
    model={"depth": 2, "width": 64, "heads": 4, "hidden": 128, "dropout": 0.1},
)
