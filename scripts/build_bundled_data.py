"""Make the bundled data from the public-domain posts and the ACL Anthology's papers.

    python scripts/build_bundled_data.py SOURCE_DIR [--output lampbench/bundled/data]

SOURCE_DIR holds `gov_posts.jsonl.gz` and `acl_papers.jsonl.gz`; scripts/README.md lists their
columns. The same source always makes the same bytes.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lampbench.data.leaks.audit import papers_of_tested_users  # noqa: E402
from lampbench.data.leaks.overlap import ComparedText  # noqa: E402
from scripts.choose_authors import Split, TestedUsers, age, split_papers, split_posts  # noqa: E402
from scripts.data_card import write_statistics  # noqa: E402
from scripts.source_texts import (  # noqa: E402
    PAPERS,
    POSTS,
    Json,
    read_source,
    stop,
    usable_papers,
    usable_posts,
)
from scripts.user_rows import records, write_text, write_users  # noqa: E402

ACL_ABSTRACT_QUERIES = 4
ACL_NOTE = {
    "source": "ACL Anthology (aclanthology.org), metadata of papers published from 2016 on",
    "licence": "CC BY 4.0",
    "attribution": "Titles and abstracts are by the authors named in CREDITS.tsv, published by "
    "the ACL and collected in the ACL Anthology; shortened and rearranged here.",
    "synthetic": False,
}
GOV_NOTE = {
    "source": "Blog posts of digital.gov and of 18F (US General Services Administration)",
    "licence": "CC0 1.0 / public domain in the United States",
    "attribution": "Written by the staff and guests of digital.gov and 18F; shortened and "
    "rearranged here.",
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


def build(source: Path, output: Path) -> None:
    """Write the four real tasks and the credits of their papers.

    The two tasks on papers have the same test users; the training authors are divided between
    them, so that no paper is shipped twice without need.
    """
    posts = split_posts(usable_posts(read_source(source, POSTS)))
    papers = split_papers(usable_papers(read_source(source, PAPERS)))
    note = {**GOV_NOTE, "description": "Headline of a post for its beginning, by its author."}
    write_task(output / "news_headline", posts, ("text", "article"), "title", note)
    note = {
        **GOV_NOTE,
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
    write_statistics(output)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the data."""
    parser = argparse.ArgumentParser(description="Make the bundled data from its sources.")
    parser.add_argument("source", type=Path, help="folder with the two .jsonl.gz files")
    parser.add_argument("--output", type=Path, default=ROOT / "lampbench/bundled/data")
    options = parser.parse_args(arguments)
    build(options.source, options.output)


if __name__ == "__main__":
    main()
