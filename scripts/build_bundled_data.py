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
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lampbench.bundled.leaks import find_leaks, find_shared_authors, word_runs  # noqa: E402
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

SEED = 0
GOV_MIN_POSTS, GOV_HISTORY, GOV_QUERY_SHARE, GOV_QUERIES = 10, 24, 0.25, (2, 8)
GOV_TRAIN_POSTS = 2
ACL_TEST_AUTHORS, ACL_HISTORY, ACL_QUERIES = 25, 20, 4
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

Split = tuple[dict[str, tuple[list[Json], list[Json]]], dict[str, list[Json]]]
"""Test users' (history, queries), and training users' queries, by user."""


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
    """Authors with enough posts are tested on their newest ones; everyone else trains."""
    by_author = _by(posts, lambda post: post["author"])
    text, seen, test = ("title", "summary", "article", "short"), set[str](), {}
    for author, rows in sorted(by_author.items()):
        if len(rows) < GOV_MIN_POSTS:
            continue
        kept = newest_distinct(rows, GOV_HISTORY + GOV_QUERIES[1], text, seen)
        queries = min(max(round(len(kept) * GOV_QUERY_SHARE), GOV_QUERIES[0]), GOV_QUERIES[1])
        test[author] = (kept[:-queries][-GOV_HISTORY:], kept[-queries:])
    others = (post for post in posts if len(by_author[post["author"]]) < GOV_MIN_POSTS)
    train = _by(without_runs(others, text, seen), lambda post: post["author"])
    return test, {author: rows[:GOV_TRAIN_POSTS] for author, rows in train.items()}


def split_papers(papers: Sequence[Json]) -> Split:
    """A paper counts for its last author, the one who stays in a line of work.

    The authors with most papers are tested. A paper that two of them wrote is nobody's; one that
    any of them wrote trains nothing.
    """
    by_last = _by(papers, lambda paper: paper["authors"][-1])
    likely = {name: rows for name, rows in by_last.items() if is_likely_one_person(name)}
    most = sorted((-len(rows), name) for name, rows in likely.items())
    testers = {name for _, name in most[:ACL_TEST_AUTHORS]}
    text, seen, test = ("title", "abstract"), set[str](), {}
    for name in sorted(testers):
        own = [paper for paper in by_last[name] if not testers & set(paper["authors"][:-1])]
        kept = newest_distinct(own, ACL_HISTORY + ACL_QUERIES, text, seen)
        if len(kept) == ACL_HISTORY + ACL_QUERIES:
            test[name] = (kept[:ACL_HISTORY], kept[ACL_HISTORY:])
    others = without_runs((p for p in papers if not testers & set(p["authors"])), text, seen)
    by_last = _by(others, lambda paper: paper["authors"][-1])
    enough = sorted(name for name, rows in by_last.items() if len(rows) > ACL_TRAIN_PAPERS)
    chance = random.Random(SEED)
    chosen = sorted(chance.sample(enough, min(ACL_TRAIN_AUTHORS, len(enough))))
    return test, {name: chance.sample(by_last[name], ACL_TRAIN_PAPERS) for name in chosen}


def _age(row: Json) -> tuple[str, str]:
    return row["date"], row["id"]


def _by(rows: Iterable[Json], key: Callable[[Json], str]) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def write_task(folder: Path, split: Split, given: tuple[str, str], target: str, note: Json) -> None:
    """Write a task's three files; `given` is a prompt field and the column it is read from.

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

    tested = [
        {"id": name, "history": rows(past), "queries": rows(asked)}
        for name, (past, asked) in sorted(split[0].items())
    ]
    trained = [
        {"id": name, "history": [], "queries": rows(items)}
        for name, items in sorted(split[1].items())
    ]
    write_users(folder, tested, trained, note)


def write_users(
    folder: Path, tested: Sequence[Json], trained: Sequence[Json], note: Mapping[str, Any]
) -> None:
    """Write a task's users and what they are, after a last look for leaks.

    Raises:
        SystemExit: when the leak check finds something.
    """
    if leaks := find_leaks(tested, trained):
        stop(f"{folder.name}: {len(leaks)} leaks, the first: {leaks[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, users in (("test", tested), ("train", trained)):
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
    test, train = split
    tested: list[Json] = [
        {"id": name, "history": past, "queries": asked} for name, (past, asked) in test.items()
    ]
    trained: list[Json] = [
        {"id": name, "history": [], "queries": items} for name, items in train.items()
    ]
    rows = [row for user in (*tested, *trained) for row in (*user["history"], *user["queries"])]
    if found := find_shared_authors(tested, trained, {row["id"]: row["authors"] for row in rows}):
        stop(f"{len(found)} papers stand in the wrong place, the first: {found[0]}")
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
    tested, trained = papers
    titles, abstracts = (
        (tested, {name: trained[name] for name in list(trained)[at::2]}) for at in (0, 1)
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
