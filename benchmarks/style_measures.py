"""How well measures of style recognise an author: the numbers in docs/metrics.md."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache

import click

from lampbench.data import DataOptions, load_dataset
from lampbench.metrics.style import LENGTH, STYLE_NGRAM, likeness
from lampbench.registry import Registry
from lampbench.scoring import histories

QUERIES = 5
"""References per user."""

History = tuple[str, ...]


def shared(text: str, history: History) -> float:
    """Share of the text's distinct n-grams that are in the profile (SPI, divided by its length)."""
    own, profile = counts((text,)), top(history)
    return sum(gram in profile for gram in own) / max(1, len(own))


def cosine(text: str, history: History) -> float:
    """Cosine of the text's counts and the profile's."""
    own, profile = counts((text,)), top(history)
    product = sum(count * profile.get(gram, 0) for gram, count in own.items())
    return product / max(1e-9, norm(own) * norm(profile))


def counts(texts: History) -> Counter[str]:
    """The character n-grams of some texts."""
    lines = (" ".join(text.split()) for text in texts)
    return Counter(
        line[i : i + STYLE_NGRAM] for line in lines for i in range(len(line) - STYLE_NGRAM + 1)
    )


@lru_cache(maxsize=1)
def top(history: History) -> dict[str, int]:
    """The most frequent n-grams of a history."""
    ranked = sorted(counts(history).items(), key=lambda item: (-item[1], item[0]))
    return dict(ranked[:LENGTH])


def norm(vector: Mapping[str, int]) -> float:
    """The length of a vector."""
    return math.sqrt(sum(value * value for value in vector.values()))


MEASURES: dict[str, Callable[[str, History], float]] = {
    "style": likeness,
    "shared": shared,
    "cosine": cosine,
}


@click.command()
@click.option("--task", "tasks", multiple=True, default=["topic_writing"], show_default=True)
@click.option("--users", default=20, show_default=True)
def main(tasks: tuple[str, ...], users: int) -> None:
    """Print, for each measure, the share of other users who are less like a reference."""
    for name in tasks:
        dataset = load_dataset(Registry().task(name), "bundled", DataOptions(users=users))
        texts = histories(dataset)
        wins = dict.fromkeys(MEASURES, 0.0)
        asked = [(u.id, q.reference) for u in dataset.test_users for q in u.queries[:QUERIES]]
        for measure, function in MEASURES.items():
            like = {  # one history at a time: its profile is kept that long
                author: [function(reference or "", history) for _, reference in asked]
                for author, history in texts.items()
            }
            for number, (writer, _) in enumerate(asked):
                for other in texts.keys() - {writer}:
                    own, theirs = like[writer][number], like[other][number]
                    wins[measure] += (own > theirs) + (own == theirs) / 2
        pairs = len(asked) * (len(texts) - 1)
        found = ", ".join(f"{measure} {won / pairs:.3f}" for measure, won in wins.items())
        print(f"{name}: {found} ({len(asked)} references, {len(texts)} users)")


if __name__ == "__main__":
    main()
