"""Choose who of the sources' authors is tested, who is kept for tuning, and who trains.

Serves `scripts/build_bundled_data.py`; lampbench/bundled/data/README.md describes the choice.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lampbench.data.leaks.audit import name_letters
from lampbench.data.leaks.ngrams import text_ngrams
from scripts.source_texts import Json

SEED = 0
GOV_TEST_POSTS, GOV_DEV_POSTS = 10, 6
GOV_TRAIN_SHARE, GOV_TRAIN_POSTS = 0.5, 2
GOV_HISTORY, GOV_QUERY_SHARE, GOV_QUERIES, GOV_DEV_QUERIES = 24, 1 / 3, (3, 16), 2
ACL_TEST_AUTHORS, ACL_DEV_AUTHORS, ACL_SPARE_AUTHORS = 100, 20, 40
ACL_HISTORY, ACL_QUERIES = (12, 16), 8
ACL_TRAIN_AUTHORS, ACL_TRAIN_PAPERS = 150, 4

COMMON_FAMILY_NAMES = frozenset(
    """
    Bai Cai Cao Chang Chen Cheng Choi Cui Deng Ding Dong Du Duan Fan Fang Feng Fu Gao Gong Gu Guo
    Han He Hou Hu Huang Ji Jia Jiang Jin Kang Kim Kong Lai Lee Lei Li Liang Liao Lin Ling Liu Long
    Lu Luo Lv Ma Mao Meng Ning Pan Park Peng Qian Qin Qiu Ren Shao Shen Shi Song Su Sun Tan Tang
    Tian Wan Wang Wei Wen Wu Xia Xiang Xiao Xie Xiong Xu Xue Yan Yang Yao Ye Yi Yin You Yu Yuan
    Zeng Zhan Zhang Zhao Zheng Zhong Zhou Zhu Zhuang Zou
    """.split()  # noqa: SIM905 - quotes around each would hide the names
)
"""Family names so common in two-word Chinese and Korean names that one name is several people."""

TestedUsers = dict[str, tuple[list[Json], list[Json]]]
"""Users' (history, queries), by user."""


class Split(NamedTuple):
    """Who is tested and reported, who is only tuned on, and whose queries train; by user."""

    test: TestedUsers
    dev: TestedUsers
    train: dict[str, list[Json]]


def is_likely_one_person(name: str) -> bool:
    """Whether a name probably belongs to one author, not to several."""
    given, _, family = name.rpartition(" ")
    return bool(given) and (" " in given or family not in COMMON_FAMILY_NAMES or len(given) > 6)


def newest_distinct(
    rows: Sequence[Json], most: int, text: Sequence[str], seen: set[str]
) -> list[Json]:
    """The newest rows, oldest first, that share no 13-gram with one another or with `seen`."""
    kept: list[Json] = []
    for row in sorted(rows, key=age, reverse=True):
        own = set[str]().union(*(text_ngrams(row[name]) for name in text))
        if not own & seen and len(kept) < most:
            seen |= own
            kept.append(row)
    return kept[::-1]


def without_ngrams(rows: Iterable[Json], text: Sequence[str], seen: set[str]) -> list[Json]:
    """The rows that share no 13-gram with `seen`."""
    return [row for row in rows if not any(text_ngrams(row[name]) & seen for name in text)]


def split_posts(posts: Sequence[Json]) -> Split:
    """Authors with enough posts are tested on their newest ones; those with fewer are dev users.

    A share of all others trains the task adapters; what the rest wrote is left for pre-training.
    """
    by_author = _by(posts, lambda post: post["author"])
    text, seen = ("title", "summary", "article", "short"), set[str]()
    test, dev = TestedUsers(), TestedUsers()
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
    train = _by(without_ngrams(others, text, seen), lambda post: post["author"])
    chosen = random.Random(SEED).sample(sorted(train), round(len(train) * GOV_TRAIN_SHARE))
    tested = {name_letters(author) for author in (*test, *dev)}
    trained = {
        author: newest_distinct(train[author], GOV_TRAIN_POSTS, text, seen)
        for author in sorted(chosen)
        if name_letters(author) not in tested
    }
    return Split(test, dev, {author: rows for author, rows in trained.items() if rows})


def split_papers(papers: Sequence[Json]) -> Split:
    """A paper belongs to its last author, who usually stays in one line of work.

    The authors with most papers are tested, the next ones are dev users. A paper by two of them
    belongs to nobody; one that any of them wrote trains nothing. `ACL_SPARE_AUTHORS` replace those
    who have too few papers left.
    """
    by_last = _by(papers, lambda paper: paper["authors"][-1])
    likely = {name: rows for name, rows in by_last.items() if is_likely_one_person(name)}
    most = [name for _, name in sorted((-len(rows), name) for name, rows in likely.items())]
    tested = ACL_TEST_AUTHORS + ACL_DEV_AUTHORS
    most = most[: tested + ACL_SPARE_AUTHORS]
    text, seen = ("title", "abstract"), set[str]()
    found = TestedUsers()
    for name in most:
        own = [paper for paper in by_last[name] if not {*most} & {*paper["authors"][:-1]}]
        kept = newest_distinct(own, ACL_HISTORY[1] + ACL_QUERIES, text, seen)
        if len(kept) >= ACL_HISTORY[0] + ACL_QUERIES and len(found) < tested:
            found[name] = (kept[:-ACL_QUERIES], kept[-ACL_QUERIES:])
    testers = {name_letters(name) for name in found}
    others = [p for p in papers if not testers & {name_letters(name) for name in p["authors"]}]
    others = without_ngrams(others, text, seen)
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


def age(row: Json) -> tuple[str, str]:
    """Orders rows by date, those of one date by id."""
    return row["date"], row["id"]


def _by(rows: Iterable[Json], key: Callable[[Json], str]) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups
