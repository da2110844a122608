"""Reading and cleaning of the posts and papers."""

from scripts.source_texts import (
    clean_paper_text,
    clean_post,
    cut_words,
    join_words,
    usable_posts,
)


def test_cleaning_takes_out_template_marks() -> None:
    post = (
        'Head\n----\n\n> A [link][1] to\nit {{ "x" | team_link }}.\n\n```sh\nls\n```\n\n'
        "_Ann is an editor._\n\nEnd \\_here."
    )
    assert clean_post(post) == "Head\n\nA link to it .\n\nEnd _here."


def test_cleaning_takes_out_latex() -> None:
    assert clean_paper_text(r"A \textbf{bold} <b>gain</b> of 3\%") == "A bold gain of 3%"


def test_a_cut_ends_at_a_sentence() -> None:
    assert cut_words("One two three. Four five six. Seven eight.", 7) == (
        "One two three. Four five six."
    )
    assert cut_words("one two three", 2) == "one two"
    assert cut_words("one\n\ntwo", 2) == "one\n\ntwo"


def test_a_summary_that_begins_the_content_gives_way_to_the_title() -> None:
    content = " ".join(f"word{number}" for number in range(120))
    post = {"title": "About all the words", "summary": content[:80], "content": content}
    (usable,) = usable_posts([post])
    assert usable["summary"] == "About all the words"


def test_a_post_that_begins_with_its_headline_is_left_out() -> None:
    content = "About all the words: " + " ".join(f"word{number}" for number in range(120))
    assert usable_posts([{"title": "About all the words", "summary": "", "content": content}]) == []


def test_single_words_on_lines_of_their_own_are_joined_to_their_sentence() -> None:
    assert join_words("Some\n\nwords\n\nand\n\nlinks in a row.\n\nfinch\n\nfinch is one.") == (
        "Some words and links in a row.\n\nfinch\n\nfinch is one."
    )
