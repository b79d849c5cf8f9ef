"""What is done with a model, word by word."""

import pytest

from rdrop_tf.models.choice import Choice
from rdrop_tf.models.cost import Cost
from rdrop_tf.models.describe import description
from rdrop_tf.models.frontier import Frontier

pytestmark = pytest.mark.one_backend


def frontier(stochastic: int) -> Frontier:
    noise = tuple((f"noise_{i}", f"reason {i}") for i in range(stochastic))
    return Frontier(frozenset(), frozenset(), noise)


def text_of(choice: Choice, passes: int = 2, every: int = 1) -> str:
    return description("net", choice, passes=passes, every=every, one_pass=False)


# Of 100 operations 60 come before the noise; a trained prefix is 60 % of a plain step too.
@pytest.mark.parametrize(
    ("forward", "multiple"), [("two_calls", "3.00"), ("concat", "3.00"), ("shared_prefix", "1.80")]
)
def test_every_way_tells_its_reason_its_frontier_and_its_cost(forward: str, multiple: str) -> None:
    choice = Choice(forward, "asked for", frontier(2), Cost(60.0, 40.0, 60.0, 40.0))
    assert text_of(choice, passes=3).split("\n") == [
        f"'net': 3 passes by forward='{forward}' (asked for).",
        "First noise:",
        "  noise_0: reason 0",
        "  noise_1: reason 1",
        "Before it: 60% of the forward operations, 60% of a plain step's.",
        f"Estimated cost of a step: {multiple} times a plain step.",
    ]


def test_a_frozen_prefix_is_a_smaller_share_of_a_step() -> None:
    """A share of 60 / (60 + 3 * 40) = 1/3."""
    choice = Choice("shared_prefix", "why", frontier(1), Cost(60.0, 40.0, 0.0, 40.0))
    share, cost = text_of(choice).split("\n")[-2:]
    assert share == (
        "Before it: 60% of the forward operations, none of its weights trained, "
        "33% of a plain step's."
    )
    assert cost == "Estimated cost of a step: 1.67 times a plain step."


def test_where_nothing_comes_before_the_noise_no_weights_are_spoken_of() -> None:
    choice = Choice("two_calls", "why", frontier(1), Cost(0.0, 40.0, 0.0, 40.0))
    assert text_of(choice).split("\n")[-2:] == [
        "Before it: 0% of the forward operations, 0% of a plain step's.",
        "Estimated cost of a step: 2.00 times a plain step.",
    ]


def test_a_model_without_noise_is_named_as_such() -> None:
    choice = Choice("shared_prefix", "why", frontier(0), Cost(5.0, 0.0, 5.0, 0.0))
    assert text_of(choice, passes=4).split("\n")[1:] == [
        "First noise: none found; all passes of this model are the same.",
        "Before it: 100% of the forward operations, 100% of a plain step's.",
        "Estimated cost of a step: 1.00 times a plain step.",
    ]


@pytest.mark.parametrize("count", [5, 6, 7, 12])
def test_of_many_layers_the_first_six_are_named(count: int) -> None:
    choice = Choice("two_calls", "why", frontier(count), Cost(1.0, 1.0, 1.0, 1.0))
    noise = text_of(choice).split("\n")[2:-2]
    named = [f"  noise_{i}: reason {i}" for i in range(min(count, 6))]
    assert noise == named + ([f"  and {count - 6} more"] if count > 6 else [])


def test_without_a_graph_there_is_a_reason_and_a_cost() -> None:
    assert text_of(Choice("two_calls", "no graph"), passes=3) == (
        "'net': 3 passes by forward='two_calls' (no graph).\n"
        "Estimated cost of a step: 3.00 times a plain step."
    )


@pytest.mark.parametrize(("every", "mean"), [(2, "1.25"), (3, "1.17"), (10, "1.05")])
def test_steps_between_are_plain(every: int, mean: str) -> None:
    """One step of 1.5 and the others of 1."""
    choice = Choice("shared_prefix", "why", frontier(1), Cost(1.0, 1.0, 1.0, 1.0))
    last = text_of(choice, every=every).split("\n")[-1]
    assert last == (
        f"Estimated cost of a step: 1.50 times a plain step, every {every} steps; "
        f"{mean} on average."
    )


@pytest.mark.parametrize("every", [1, 3])
def test_with_alpha_0_nothing_else_matters(every: int) -> None:
    choice = Choice("shared_prefix", "why", frontier(1), Cost(1.0, 1.0, 1.0, 1.0))
    text = description("net", choice, passes=3, every=every, one_pass=True)
    assert text == "'net': alpha is 0, every step is a plain step with one pass."
