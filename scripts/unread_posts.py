"""Posts that the bundled models have not read: what may be tested, tuned on or train for a task.

Serves `scripts/build_bundled_data.py`. The models' sketch names every document that they read, and
its texts are in the sources, so that whole texts are compared here.
"""

from collections.abc import Collection, Iterable, Sequence

from lampbench.data.leaks.audit import name_letters
from lampbench.data.leaks.ngrams import text_ngrams
from scripts.source_texts import Json, clean_paper_text, clean_post

POST_TEXT = ("title", "summary", "article", "short")
"""The columns of a usable post that the bundled data can have."""


def read_documents(
    posts: Iterable[Json], papers: Iterable[Json], documents: Collection[str]
) -> list[Json]:
    """What the models have read, as {"author", "texts"}; papers have no single author.

    Args:
        posts: rows of the post files, as they were read.
        papers: rows of the paper file, as they were read.
        documents: ids of the posts and papers that the models have read.
    """
    read = [
        {"author": post["author"],
         "texts": (post["title"], post["summary"], clean_post(post["content"]))}
        for post in posts if post["id"] in documents
    ]  # fmt: skip
    return read + [
        {"author": "",
         "texts": (clean_paper_text(paper["title"]), clean_paper_text(paper["abstract"]))}
        for paper in papers if paper["id"] in documents
    ]  # fmt: skip


def unread_posts(posts: Sequence[Json], read: Iterable[Json]) -> list[Json]:
    """The usable posts by authors of whom nothing was read, without those that share words.

    Authors are compared by the letters of their names. A post shares words if 13 in a row, or a
    whole short text, are also in a document that was read.
    """
    read = list(read)
    authors = {name_letters(document["author"]) for document in read}
    others = [post for post in posts if name_letters(post["author"]) not in authors]
    ngrams = [set[str]().union(*(text_ngrams(post[name]) for name in POST_TEXT)) for post in others]
    wanted = set[str]().union(*ngrams)
    shared = {
        ngram
        for document in read
        for text in document["texts"]
        for ngram in text_ngrams(text) & wanted
    }
    return [post for post, own in zip(others, ngrams, strict=True) if not own & shared]
