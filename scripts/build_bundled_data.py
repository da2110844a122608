"""Make the bundled data from posts of two kinds and the ACL Anthology's papers.

    python scripts/build_bundled_data.py SOURCE_DIR [--output lampbench/bundled/data]

SOURCE_DIR holds `gov_posts.jsonl.gz`, `blog_posts.jsonl.gz` and `acl_papers.jsonl.gz`;
scripts/README.md lists their columns. The same source always makes the same bytes. Posts are cut
from what the bundled models have not read.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lampbench.bundled import MODEL  # noqa: E402
from lampbench.data.leaks.audit import papers_of_tested_users  # noqa: E402
from lampbench.data.leaks.corpus_sketch import load_sketch  # noqa: E402
from lampbench.data.leaks.overlap import ComparedText  # noqa: E402
from scripts.choose_authors import Split, TestedUsers, age, split_papers, split_posts  # noqa: E402
from scripts.data_card import write_statistics  # noqa: E402
from scripts.source_texts import (  # noqa: E402
    BLOGS,
    COLUMNS,
    PAPERS,
    POSTS,
    Json,
    join_words,
    read_source,
    stop,
    usable_papers,
    usable_posts,
)
from scripts.unread_posts import read_documents, unread_posts  # noqa: E402
from scripts.user_rows import records, write_text, write_users  # noqa: E402

ACL_ABSTRACT_QUERIES = 4
DATE = re.compile(r"\d{4}-\d\d-\d\d")
POST_CREDITS = {
    "id": "id",
    "author": "author",
    "title": "title",
    "site": "source",
    "url": "url",
    "licence": "license",
}
"""By column of POSTS.tsv: the source's column."""
ACL_NOTE = {
    "source": "ACL Anthology (aclanthology.org), metadata of papers published from 2016 on",
    "licence": "CC BY 4.0",
    "attribution": "Titles and abstracts are by the authors named in CREDITS.tsv, published by "
    "the ACL and collected in the ACL Anthology; shortened and rearranged here.",
    "synthetic": False,
}
GOV_LICENCE = "CC0 1.0 / public domain in the United States"
POST_NOTE = {
    "source": "Blog posts of digital.gov and of 18F (US General Services Administration), and of "
    "ten other blogs",
    "licence": f"{GOV_LICENCE}; CC BY; CC BY 3.0; CC BY 4.0; MIT OR Apache-2.0; Apache-2.0; that "
    "of each post is in POSTS.tsv",
    "attribution": "Written by the authors whom POSTS.tsv names, with title, site, address and "
    "licence of each post; text shortened and stripped of markup.",
    "synthetic": False,
}


def write_task(folder: Path, split: Split, given: tuple[str, str], target: str, note: Json) -> None:
    """Write a task's files; `given` is a prompt field and the column it is read from.

    Raises:
        SystemExit: the leak check finds something, which is an error of this script.
    """
    field, column = given

    def entries(rows: Sequence[Json]) -> list[Json]:
        return [
            {"id": row["id"], "date": row["date"], "fields": {field: row[column]},
             "target": row[target]}
            for row in sorted(rows, key=age)
        ]  # fmt: skip

    test, dev, train = (
        [
            {**user, "history": entries(user["history"]), "queries": entries(user["queries"])}
            for user in users
        ]
        for users in as_users(split)
    )
    write_users(folder, test, dev, train, note)


def as_users(split: Split) -> tuple[list[Json], list[Json], list[Json]]:
    """Test, dev and training users as rows, ordered by id."""

    def users(tested: TestedUsers) -> list[Json]:
        return [
            {"id": name, "history": past, "queries": asked}
            for name, (past, asked) in sorted(tested.items())
        ]

    trained: TestedUsers = {name: ([], rows) for name, rows in split.train.items()}
    return users(split.test), users(split.dev), users(trained)


def write_credits(path: Path, split: Split) -> None:
    """Name the authors of every paper, as its licence asks; check that no two users share one.

    Raises:
        SystemExit: two users share a paper.
    """
    test, dev, train = as_users(split)
    owned = [(user["id"], row) for user in (*test, *dev, *train) for row in records(user)]
    rows = [row for _, row in owned]
    found = papers_of_tested_users(
        (ComparedText("bundled", "paper", name, row["id"], ()) for name, row in owned),
        {user["id"] for user in (*test, *dev)},
        {row["id"]: row["authors"] for row in rows},
    )
    if found.cases:
        stop(f"{len(found.cases)} papers are in another user's data, the first: {found.cases[0]}")
    lines = [f"{row['id']}\t{'; '.join(row['authors'])}\n"
             for row in sorted(rows, key=lambda row: str(row["id"]))]  # fmt: skip
    write_text(path, "".join(["id\tauthors\n", *lines]))


def write_post_credits(path: Path, split: Split) -> None:
    """Name author, title, site, address and licence of every post, as their licences ask."""
    rows = sorted((row for users in as_users(split) for user in users for row in records(user)),
                  key=lambda row: str(row["id"]))  # fmt: skip
    lines = [
        "\t".join(" ".join(row[name].split()) for name in POST_CREDITS.values()) for row in rows
    ]
    write_text(path, "".join(f"{line}\n" for line in ("\t".join(POST_CREDITS), *lines)))


def write_digests(path: Path, source: Path) -> None:
    """Record the source files that the data was made from, as `sha256sum` prints them."""
    digests = {name: hashlib.sha256((source / name).read_bytes()).hexdigest() for name in COLUMNS}
    write_text(path, "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)))


def read_posts(source: Path) -> list[Json]:
    """The posts of both files, each with its licence."""
    government = [
        {**post, "url": "", "license": GOV_LICENCE} for post in read_source(source, POSTS)
    ]
    blogs = [
        {**post, "content": join_words(post["content"])} for post in read_source(source, BLOGS)
    ]
    return [*government, *blogs]


def build(source: Path, output: Path) -> None:
    """Write the four real tasks and the credits of their papers.

    The two tasks on papers have the same test users; the training authors are divided between
    them, so that no paper is shipped twice without need.
    """
    post_rows, paper_rows = read_posts(source), read_source(source, PAPERS)
    read = read_documents(post_rows, paper_rows, load_sketch(MODEL / "corpus.npz").documents)
    dated = [post for post in usable_posts(post_rows) if DATE.fullmatch(post["date"])]
    posts = split_posts(unread_posts(dated, read))
    papers = split_papers(usable_papers(paper_rows))
    note = {**POST_NOTE, "description": "Headline of a post for its beginning, by its author."}
    write_task(output / "news_headline", posts, ("text", "article"), "title", note)
    note = {
        **POST_NOTE,
        "description": "Beginning of a post for its summary or title, by its author.",
    }
    write_task(output / "topic_writing", posts, ("summary", "summary"), "short", note)
    titles, abstracts = (
        papers._replace(train={name: papers.train[name] for name in list(papers.train)[at::2]})
        for at in (0, 1)
    )
    # An abstract takes a small model as long as ten titles: only the newest few are asked.
    abstracts = abstracts._replace(
        test={
            name: (past, asked[-ACL_ABSTRACT_QUERIES:])
            for name, (past, asked) in abstracts.test.items()
        }
    )
    note = {**ACL_NOTE, "description": "Title of a paper for its abstract; user: the last author."}
    write_task(output / "scholarly_title", titles, ("abstract", "abstract"), "title", note)
    note = {**ACL_NOTE, "description": "Abstract of a paper for its title; user: the last author."}
    write_task(output / "abstract_generation", abstracts, ("title", "title"), "abstract", note)
    write_credits(output / "CREDITS.tsv", papers)
    write_post_credits(output / "POSTS.tsv", posts)
    write_digests(output / "SOURCES.sha256", source)
    write_statistics(output)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the data."""
    parser = argparse.ArgumentParser(description="Make the bundled data from its sources.")
    parser.add_argument("source", type=Path, help="folder with the three .jsonl.gz files")
    parser.add_argument("--output", type=Path, default=ROOT / "lampbench/bundled/data")
    options = parser.parse_args(arguments)
    build(options.source, options.output)


if __name__ == "__main__":
    main()
