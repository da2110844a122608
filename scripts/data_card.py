"""The table of numbers in the card of the bundled data."""

import statistics
from collections.abc import Iterable
from pathlib import Path

from scripts.user_rows import read_users

BEGIN, END = "<!-- statistics: written by the scripts -->\n", "<!-- end of statistics -->"
TASKS = (
    "news_headline",
    "scholarly_title",
    "abstract_generation",
    "topic_writing",
    "review_writing",
)


def statistics_table(data: Path) -> str:
    """One row per task as in the paper's Table 4: users, history, queries and lengths in words."""
    lines = [
        "| task | test users | history per user | test queries | dev users | dev queries "
        "| training users | training queries | words of the input | words of the output |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for task in TASKS:
        if not (data / task / "test.jsonl").exists():
            continue
        test, dev, train = (
            read_users(data / task / f"{name}.jsonl") for name in ("test", "dev", "train")
        )
        queries, tuned, trained = (
            [query for user in users for query in user["queries"]] for users in (test, dev, train)
        )
        everything = (*queries, *tuned, *trained)
        cells = (
            task,
            len(test),
            _spread(len(user["history"]) for user in test),
            len(queries),
            len(dev),
            len(tuned),
            len(train),
            len(trained),
            _spread(len(" ".join(query["fields"].values()).split()) for query in everything),
            _spread(len(query["target"].split()) for query in everything),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def write_statistics(data: Path) -> None:
    """Bring the table in the data card up to date, if there is a card."""
    card = data / "README.md"
    if card.exists():
        text = card.read_text(encoding="utf-8")
        head, tail = text.split(BEGIN)[0], text.split(END)[1]
        card.write_text(head + BEGIN + statistics_table(data) + END + tail, encoding="utf-8")


def _spread(values: Iterable[int]) -> str:
    numbers = list(values)
    return f"{statistics.mean(numbers):.1f} ± {statistics.pstdev(numbers):.1f}"
