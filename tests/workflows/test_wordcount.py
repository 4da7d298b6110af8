"""The template's code."""

from wordcount import count


def test_words_are_runs_of_letters_without_regard_to_case():
    assert count("The cat, the CAT; naïve 42 cats_x") == {
        "the": 2, "cat": 2, "naïve": 1, "cats": 1, "x": 1,
    }  # fmt: skip
