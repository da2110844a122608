"""Which posts the bundled models have not read."""

from typing import Any

from scripts.unread_posts import read_documents, unread_posts

WORDS = " ".join(f"word{number}" for number in range(40))


def post(name: str, author: str, text: str) -> dict[str, Any]:
    own = {"title": f"{name} title", "summary": f"{name} summary", "article": text, "short": text}
    return {"id": name, "author": author, "content": text, **own}


def unread(*posts: dict[str, Any], papers: tuple[dict[str, Any], ...] = ()) -> list[str]:
    """Ids of the unread posts, where the models have read the documents `read...`."""
    documents = {row["id"] for row in (*posts, *papers) if row["id"].startswith("read")}
    return [row["id"] for row in unread_posts(posts, read_documents(posts, papers, documents))]


def test_authors_of_whom_something_was_read_are_left_out_under_any_spelling() -> None:
    assert unread(
        post("read", "timlowden", "one text"),
        post("a", "Tim Lowden", "another text"),
        post("b", "Ann Other", "a third text"),
    ) == ["b"]


def test_posts_that_share_thirteen_words_with_a_read_text_are_left_out() -> None:
    shared, fewer = " ".join(WORDS.split()[:13]), " ".join(WORDS.split()[:12])
    posts = (post("a", "Ann", f"so {shared} then"), post("b", "Bob", f"so {fewer} then"))
    assert unread(post("read", "Eve", WORDS), *posts) == ["b"]
    paper = {"id": "read-paper", "title": "A title", "abstract": WORDS}
    assert unread(*posts, papers=(paper,)) == ["b"]
    assert unread(*posts, papers=({**paper, "id": "other"},)) == ["a", "b"]
