import pytest

from rdrop_tf.metrics.references import reference_streams


def test_one_reference_a_sentence_is_one_stream() -> None:
    assert reference_streams(["a", ""], ["b", "c"]) == [["b", "c"]]
    assert reference_streams(("a", ""), [["b"], ("c",)]) == [["b", "c"]]


def test_several_references_are_sorted_into_streams() -> None:
    streams = reference_streams(["a", "b", "c"], [["1", "2", "3"], "4", ["5", "6"]])
    assert streams == [["1", "4", "5"], ["2", None, "6"], ["3", None, None]]


@pytest.mark.parametrize(
    ("hypotheses", "references", "error", "text"),
    [
        (["a", "b"], ["a"], ValueError, "one at least; got 2 and 1: several references of a"),
        (["a", "b"], [["a", "b"]], ValueError, "as many, sentence by sentence.*; got 2 and 1: "),
        ([], [], ValueError, "one at least; got 0 and 0"),
        (["a", "b"], ["a", []], ValueError, "a reference at least; got none for sentence 1"),
        ("ab", ["a", "b"], TypeError, "hypotheses must be a list of sentences; got one str: split"),
        (["a"], "a", TypeError, "references must be a list of sentences; got one str"),
        (["a", None], ["a", "b"], TypeError, "got None, a NoneType, in sentence 1: decode it"),
        (["a"], [[b"a"]], TypeError, "a sentence must be a string; got b'a', a bytes, in sent"),
    ],
)
def test_what_does_not_fit_is_named(
    hypotheses: object, references: object, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        reference_streams(hypotheses, references)  # type: ignore[arg-type]
