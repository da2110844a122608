"""Choose who of the sources' authors is tested, who is kept for tuning, and who trains.

Serves `scripts/build_bundled_data.py`; lampbench/bundled/data/README.md describes the choice.
"""

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lampbench.data.leaks.audit import name_letters
from lampbench.data.leaks.ngrams import text_ngrams
from scripts.source_texts import Json
from scripts.unread_posts import POST_TEXT

SEED = 0
POST_DEV_AUTHORS, POST_TRAIN_POSTS = 12, 8
TUNED_BEFORE = frozenset({"Victoria Bitzer-Wales"})
"""Presets were chosen on this author's posts, in an earlier cut: never a test user."""
POST_HISTORY, POST_QUERY_SHARE, POST_QUERIES = (7, 24), 1 / 3, (2, 8)
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
    """Authors with enough posts are tested on their newest ones or kept for tuning; others train.

    Dev users are drawn from the same authors as test users, so that their histories are alike:
    ordered by licence and number of posts, one of every few.
    """
    text, seen = POST_TEXT, set[str]()
    enough = POST_HISTORY[0] + POST_QUERIES[0]
    by_author = _by(posts, lambda post: post["author"])
    found, licences = TestedUsers(), dict[str, str]()
    for author, rows in sorted(by_author.items()):
        known = {*seen}
        kept = newest_distinct(rows, POST_HISTORY[1] + POST_QUERIES[1], text, known)
        if len(kept) >= enough:
            seen, found[author] = known, _divided(kept)
            licences[author] = rows[0]["license"]
    order = sorted(found, key=lambda name: (licences[name], len(by_author[name]), name))
    dev = _one_of_every_few(order, POST_DEV_AUTHORS)
    testers = {name_letters(author) for author in found}
    trained = {
        author: newest_distinct(without_ngrams(rows, text, seen), POST_TRAIN_POSTS, text, seen)
        for author, rows in sorted(by_author.items())
        if name_letters(author) not in testers and not _may_be_one_of(author, found)
    }
    return Split(
        {name: own for name, own in found.items() if name not in dev},
        {name: own for name, own in found.items() if name in dev},
        {author: rows for author, rows in trained.items() if rows},
    )


def _may_be_one_of(author: str, others: Iterable[str]) -> bool:
    """Whether one name is a single word of the other: "kate" may be any Kate."""
    own = {*author.casefold().split()}
    return any(
        own & words and min(len(own), len(words)) == 1
        for words in ({*other.casefold().split()} for other in others)
    )


def _divided(kept: list[Json]) -> tuple[list[Json], list[Json]]:
    """An author's posts, oldest first, as (history, queries)."""
    share = min(max(round(len(kept) * POST_QUERY_SHARE), POST_QUERIES[0]), POST_QUERIES[1])
    queries = min(share, len(kept) - POST_HISTORY[0])
    return kept[:-queries][-POST_HISTORY[1] :], kept[-queries:]


def _one_of_every_few(names: Sequence[str], wanted: int) -> set[str]:
    """Those tuned on before, and one drawn from each of equal parts of the others, in order."""
    before = TUNED_BEFORE & {*names}
    others = [name for name in names if name not in before]
    parts, chance = wanted - len(before), random.Random(SEED)
    ends = [round(len(others) * part / parts) for part in range(parts + 1)]
    return {*before, *(chance.choice(others[a:b]) for a, b in itertools.pairwise(ends))}


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
