"""References in which ROUGE finds no word: it reads ASCII letters and digits alone."""

import re
from collections.abc import Iterable

from lampbench.core.dataset import User

_READ_BY_ROUGE = re.compile(r"[a-z0-9]")


def rouge_notes(users: Iterable[User]) -> list[str]:
    """A note on references of test queries that have no ASCII letter or digit, if there are any.

    Every answer to such a query scores 0, as the tokenizer of `rouge-score` keeps nothing of the
    reference (docs/metrics.md).
    """
    asked = unread = 0
    for user in users:
        for query in user.queries:
            if query.reference:
                asked += 1
                unread += _READ_BY_ROUGE.search(query.reference.lower()) is None
    if not unread:
        return []
    return [
        "references without any ASCII letter or digit, on which ROUGE is 0 whatever the answer: "
        f"{unread} of {asked}; judge these data by other metrics, such as METEOR or BERTScore"
    ]
