"""Small files of LaMP-1, 2, 3 and 7 and LongLaMP-1 in the official formats, made by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.data.made_files import Entry, write_lamp

TAGS = (
    "sci-fi, based on a book, comedy, action, twist ending, dystopia, dark comedy, classic, "
    "psychology, fantasy, romance, thought-provoking, social commentary, violence, true story"
)


@dataclass(frozen=True)
class Published:
    """How a task's files look: its id there, an input, a profile entry and an output."""

    task_id: str
    asked: Callable[[str], str]
    entry: Callable[[str], Entry]
    output: Callable[[int], str]


PUBLISHED = {
    "citation_identification": Published(
        "LaMP_1",
        lambda name: (
            f'For an author who has written the paper with the title "On "quoted" {name}", which '
            "reference is related? Just answer with [1] or [2] without explanation. "
            f'[1]: "First of {name}" [2]: "Second of {name}"'
        ),
        lambda name: {"title": f"Paper {name}", "abstract": f"We study {name}."},
        lambda n: f"[{n % 2 + 1}]",
    ),
    "movie_tagging": Published(
        "LaMP_2",
        lambda name: (
            "Which tag does this movie relate to among the following tags? Just answer with the "
            f"tag name without further explanation. tags: [{TAGS}] description: Film {name}"
        ),
        lambda name: {"description": f"Past film {name}", "tag": "dark comedy"},
        lambda n: TAGS.split(", ")[n % 15],
    ),
    "product_rating": Published(
        "LaMP_3",
        lambda name: (
            "What is the score of the following review on a scale of 1 to 5? just answer with 1, "
            f"2, 3, 4, or 5 without further explanation. review: Review {name}"
        ),
        lambda name: {"text": f"Past review {name}", "score": "4"},
        lambda n: str(n % 5 + 1),
    ),
    "tweet_paraphrasing": Published(
        "LaMP_7",
        lambda name: (
            "Paraphrase the following tweet without any explanation before or after it: "
            f"Formal words: {name}"
        ),
        lambda name: {"text": f"past tweet {name}"},
        lambda n: f"tweet no {n}",
    ),
    "email_generation": Published(
        "LongLaMP_1",
        lambda name: f"Generate an email for the subject: Re: {name}",
        lambda name: {"text": f"Dear all, {name}", "title": f"Subject {name}"},
        lambda n: f"Dear colleague {n}",
    ),
}


def write_published(folder: Path, task: str, users: int = 4, records: int = 3) -> Path:
    """Train and dev questions and outputs of a task; user n has n more records than the first."""
    made = PUBLISHED[task]

    def question(user: int, number: int) -> Entry:
        profile: list[Entry] = [
            {"id": f"{user}{n}", "date": f"2014-01-{n + 1:02}", **made.entry(f"{n} of user {user}")}
            for n in range(records + user)
        ]
        name = f"{user}-{number}"
        return {"id": name, "user_id": user, "input": made.asked(name), "profile": profile}

    for split, some in (("train", range(users // 2)), ("dev", range(users // 2, users))):
        questions = [question(user, number) for user in some for number in range(2)]
        golds: list[dict[str, Any]] = [
            {"id": one["id"], "output": made.output(place)} for place, one in enumerate(questions)
        ]
        write_lamp(folder, split, questions, golds, made.task_id)
    return folder
