"""Cut the bundled data from the public-domain posts and the ACL Anthology's papers.

    python scripts/build_bundled_data.py SOURCE_DIR [--output lampbench/bundled/data]

SOURCE_DIR holds `gov_posts.jsonl.gz` and `acl_papers.jsonl.gz`; scripts/README.md gives their
columns. The same source always makes the same bytes.
"""

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lampbench.data.leak_audit import shared_papers, spelled  # noqa: E402
from lampbench.data.overlap import Item  # noqa: E402
from lampbench.data.word_runs import word_runs  # noqa: E402
from scripts.card import write_statistics  # noqa: E402
from scripts.sources import (  # noqa: E402
    PAPERS,
    POSTS,
    Json,
    read_source,
    stop,
    usable_papers,
    usable_posts,
)
from scripts.users import find_leaks, records  # noqa: E402

SEED = 0
GOV_TEST_POSTS, GOV_DEV_POSTS = 10, 6
GOV_TRAIN_SHARE, GOV_TRAIN_POSTS = 0.5, 2
GOV_HISTORY, GOV_QUERY_SHARE, GOV_QUERIES, GOV_DEV_QUERIES = 24, 1 / 3, (3, 16), 2
ACL_TEST_AUTHORS, ACL_DEV_AUTHORS, ACL_SPARE_AUTHORS = 100, 20, 40
ACL_HISTORY, ACL_QUERIES, ACL_ABSTRACT_QUERIES = (12, 16), 8, 4
ACL_TRAIN_AUTHORS, ACL_TRAIN_PAPERS = 150, 4

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

COMMON = frozenset(
    """
    Bai Cai Cao Chang Chen Cheng Choi Cui Deng Ding Dong Du Duan Fan Fang Feng Fu Gao Gong Gu Guo
    Han He Hou Hu Huang Ji Jia Jiang Jin Kang Kim Kong Lai Lee Lei Li Liang Liao Lin Ling Liu Long
    Lu Luo Lv Ma Mao Meng Ning Pan Park Peng Qian Qin Qiu Ren Shao Shen Shi Song Su Sun Tan Tang
    Tian Wan Wang Wei Wen Wu Xia Xiang Xiao Xie Xiong Xu Xue Yan Yang Yao Ye Yi Yin You Yu Yuan
    Zeng Zhan Zhang Zhao Zheng Zhong Zhou Zhu Zhuang Zou
    """.split()  # noqa: SIM905 - quotes around each would hide the names
)
"""Family names so common in two-word Chinese and Korean names that one name is several people."""

Tested = dict[str, tuple[list[Json], list[Json]]]
"""Users' (history, queries), by user."""


class Split(NamedTuple):
    """Who is tested and reported, who is only tuned on, and whose queries train; by user."""

    test: Tested
    dev: Tested
    train: dict[str, list[Json]]


def is_likely_one_person(name: str) -> bool:
    """Whether a name probably stands for one author, not for several merged under it."""
    given, _, family = name.rpartition(" ")
    return bool(given) and (" " in given or family not in COMMON or len(given) > 6)


def newest_distinct(
    rows: Sequence[Json], most: int, text: Sequence[str], seen: set[str]
) -> list[Json]:
    """The newest rows, oldest first, that share no run of words with one another or `seen`."""
    kept: list[Json] = []
    for row in sorted(rows, key=_age, reverse=True):
        runs = set[str]().union(*(word_runs(row[name]) for name in text))
        if not runs & seen and len(kept) < most:
            seen |= runs
            kept.append(row)
    return kept[::-1]


def without_runs(rows: Iterable[Json], text: Sequence[str], seen: set[str]) -> list[Json]:
    """The rows that share no run of words with `seen`."""
    return [row for row in rows if not any(word_runs(row[name]) & seen for name in text)]


def split_posts(posts: Sequence[Json]) -> Split:
    """Authors with enough posts are tested on their newest ones, those with fewer tuned on.

    Of all others a share trains the task adapters; what the rest wrote is left for pre-training.
    """
    by_author = _by(posts, lambda post: post["author"])
    text, seen = ("title", "summary", "article", "short"), set[str]()
    test, dev = Tested(), Tested()
    for author, rows in sorted(by_author.items()):
        if len(rows) >= GOV_TEST_POSTS:
            kept = newest_distinct(rows, GOV_HISTORY + GOV_QUERIES[1], text, seen)
            share = round(len(kept) * GOV_QUERY_SHARE)
            queries = min(max(share, GOV_QUERIES[0]), GOV_QUERIES[1])
            test[author] = (kept[:-queries][-GOV_HISTORY:], kept[-queries:])
    for author, rows in sorted(by_author.items()):
        if GOV_DEV_POSTS <= len(rows) < GOV_TEST_POSTS:
            kept = newest_distinct(rows, len(rows), text, seen)
            if len(kept) >= GOV_DEV_POSTS:
                dev[author] = (kept[:-GOV_DEV_QUERIES], kept[-GOV_DEV_QUERIES:])
    others = (post for post in posts if post["author"] not in test | dev)
    train = _by(without_runs(others, text, seen), lambda post: post["author"])
    chosen = random.Random(SEED).sample(sorted(train), round(len(train) * GOV_TRAIN_SHARE))
    tested = {spelled(author) for author in (*test, *dev)}
    kept = {
        author: newest_distinct(train[author], GOV_TRAIN_POSTS, text, seen)
        for author in sorted(chosen)
        if spelled(author) not in tested
    }
    return Split(test, dev, {author: rows for author, rows in kept.items() if rows})


def split_papers(papers: Sequence[Json]) -> Split:
    """A paper counts for its last author, the one who stays in a line of work.

    The authors with most papers are tested, the next ones tuned on. A paper that two of them wrote
    is nobody's; one that any of them wrote trains nothing. `ACL_SPARE_AUTHORS` stand in for those
    who have too few papers left.
    """
    by_last = _by(papers, lambda paper: paper["authors"][-1])
    likely = {name: rows for name, rows in by_last.items() if is_likely_one_person(name)}
    most = [name for _, name in sorted((-len(rows), name) for name, rows in likely.items())]
    tested = ACL_TEST_AUTHORS + ACL_DEV_AUTHORS
    most = most[: tested + ACL_SPARE_AUTHORS]
    text, seen = ("title", "abstract"), set[str]()
    found = Tested()
    for name in most:
        own = [paper for paper in by_last[name] if not {*most} & {*paper["authors"][:-1]}]
        kept = newest_distinct(own, ACL_HISTORY[1] + ACL_QUERIES, text, seen)
        if len(kept) >= ACL_HISTORY[0] + ACL_QUERIES and len(found) < tested:
            found[name] = (kept[:-ACL_QUERIES], kept[-ACL_QUERIES:])
    testers = {spelled(name) for name in found}
    others = [p for p in papers if not testers & {spelled(name) for name in p["authors"]}]
    others = without_runs(others, text, seen)
    by_last = _by(others, lambda paper: paper["authors"][-1])
    enough = sorted(name for name, rows in by_last.items() if len(rows) > ACL_TRAIN_PAPERS)
    chance = random.Random(SEED)
    chosen = sorted(chance.sample(enough, min(ACL_TRAIN_AUTHORS, len(enough))))
    names = list(found)
    return Split(
        {name: found[name] for name in sorted(names[:ACL_TEST_AUTHORS])},
        {name: found[name] for name in sorted(names[ACL_TEST_AUTHORS:])},
        {name: chance.sample(by_last[name], ACL_TRAIN_PAPERS) for name in chosen},
    )


def _age(row: Json) -> tuple[str, str]:
    return row["date"], row["id"]


def _by(rows: Iterable[Json], key: Callable[[Json], str]) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def write_task(folder: Path, split: Split, given: tuple[str, str], target: str, note: Json) -> None:
    """Write a task's files; `given` is a prompt field and the column it is read from.

    Raises:
        SystemExit: when the leak check finds something, which is an error of this script.
    """
    field, column = given

    def rows(items: Sequence[Json]) -> list[Json]:
        return [
            {"id": row["id"], "date": row["date"], "fields": {field: row[column]},
             "target": row[target]}
            for row in sorted(items, key=_age)
        ]  # fmt: skip

    test, dev, train = as_users(split)
    write_users(folder, *(
        [{**user, "history": rows(user["history"]), "queries": rows(user["queries"])}
         for user in users]
        for users in (test, dev, train)
    ), note)  # fmt: skip


def as_users(split: Split) -> tuple[list[Json], list[Json], list[Json]]:
    """Test, dev and training users as rows, by id."""

    def users(tested: Tested) -> list[Json]:
        return [
            {"id": name, "history": past, "queries": asked}
            for name, (past, asked) in sorted(tested.items())
        ]

    trained = {name: ([], items) for name, items in split.train.items()}
    return users(split.test), users(split.dev), users(trained)


def write_users(
    folder: Path,
    test: Sequence[Json],
    dev: Sequence[Json],
    train: Sequence[Json],
    note: Mapping[str, Any],
) -> None:
    """Write a task's users and what they are, after a last look for leaks.

    Raises:
        SystemExit: when the leak check finds something.
    """
    if leaks := find_leaks(folder.name, test, dev, train):
        first = leaks[0]
        stop(f"{folder.name}: {first.what} in {first.where}, the first: {first.cases[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, users in (("test", test), ("dev", dev), ("train", train)):
        lines = [json.dumps(user, ensure_ascii=False, sort_keys=True) + "\n" for user in users]
        _write(folder / f"{name}.jsonl", "".join(lines))
    head = {"task": folder.name, **note}
    text = json.dumps(head, ensure_ascii=False, indent=2, sort_keys=True)
    _write(folder / "dataset.json", text + "\n")


def write_credits(path: Path, split: Split) -> None:
    """Name the authors of every paper, as the licence asks; check that no two users share one.

    Raises:
        SystemExit: when two users share a paper.
    """
    test, dev, train = as_users(split)
    owned = [(user["id"], row) for user in (*test, *dev, *train) for row in records(user)]
    rows = [row for _, row in owned]
    found = shared_papers(
        (Item("bundled", "paper", name, row["id"], ()) for name, row in owned),
        {user["id"] for user in (*test, *dev)},
        {row["id"]: row["authors"] for row in rows},
    )
    if found.cases:
        stop(f"{len(found.cases)} papers stand in the wrong place, the first: {found.cases[0]}")
    lines = [f"{row['id']}\t{'; '.join(row['authors'])}\n"
             for row in sorted(rows, key=lambda row: str(row["id"]))]  # fmt: skip
    _write(path, "".join(["id\tauthors\n", *lines]))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def build(source: Path, output: Path) -> None:
    """Write the four real tasks and the credits of their papers.

    The two tasks on papers have the same test users; the training authors are shared out between
    them, so that nothing is shipped twice without need.
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
    # Each abstract takes a small model as long as ten titles: the newest few are asked for.
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
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description="Cut the bundled data from its sources.")
    parser.add_argument("source", type=Path, help="folder with the two .jsonl.gz files")
    parser.add_argument("--output", type=Path, default=ROOT / "lampbench/bundled/data")
    options = parser.parse_args(arguments)
    build(options.source, options.output)


if __name__ == "__main__":
    main()
