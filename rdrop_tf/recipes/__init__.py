"""The data sets that `rdrop` knows, as data: one module a task."""

from rdrop_tf.recipes.digits import DIGITS
from rdrop_tf.recipes.glue import GLUE
from rdrop_tf.recipes.images import IMAGES
from rdrop_tf.recipes.measured import measured
from rdrop_tf.recipes.recipe import DTYPES, Optimizer, Recipe
from rdrop_tf.recipes.translation import TRANSLATION

__all__ = ["DIGITS", "DTYPES", "RECIPES", "Optimizer", "Recipe", "find_recipe", "measured"]

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (DIGITS, *GLUE, *IMAGES, *TRANSLATION)
}


def find_recipe(name: str) -> Recipe:
    """Finds a recipe by its name.

    Args:
        name: One of the names that `rdrop recipes` lists.

    Returns:
        The recipe.

    Raises:
        ValueError: If there is no recipe of that name.

    Example:
    >>> find_recipe("digits").task
    'digits'
    """
    if name in RECIPES:
        return RECIPES[name]
    data, _, _ = name.rpartition("/")
    pairs = [other.removeprefix(f"{data}/") for other in RECIPES if other.startswith(f"{data}/")]
    if pairs:
        raise ValueError(f"{data} has recipes for the pairs {', '.join(pairs)}; got {name!r}")
    raise ValueError(f"a recipe must be one of {', '.join(RECIPES)}; got {name!r}")
