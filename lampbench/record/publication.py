"""What must not be published with a run: texts of users, and who and where its maker is."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from lampbench.record.recorded_run import Run
from lampbench.util.secrets import has_secret

PUBLIC_DATA = "bundled"
"""The data whose texts come with the package, and may be given on."""

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
_IN_MANIFESTS: dict[str, Callable[[str], object]] = {
    "a path in somebody's home folder": re.compile(
        r"(?:/home|/Users|/root|[A-Za-z]:\\Users)[/\\]"
    ).search,
    "an e-mail address": _ADDRESS.search,
    "what looks like a secret": has_secret,
}


def has_public_data(run: Run) -> bool:
    """Whether the texts of a run's users may be given on by anybody."""
    options = run.manifest.dataset.options
    return options is not None and options.data == PUBLIC_DATA


def publication_findings(run: Run) -> list[str]:
    """What in a run names its maker, or a person in its data; one line each, without the text.

    Manifests are searched for home folders, e-mail addresses and secrets. Ids, queries and answers
    are searched for e-mail addresses where the data is not the package's own. What else identifies
    a person is not found.

    Raises:
        LampbenchError: the run is damaged.
    """
    found = [
        f"manifest.json: {path} has {what}; record the run again without it"
        for path, text in _texts(asdict(run.manifest), "")
        for what, is_in in _IN_MANIFESTS.items()
        if is_in(text)
    ]
    if not has_public_data(run):
        where = [name for name, text in _texts_of_people(run) if _ADDRESS.search(text)]
        if where:
            found.append(
                f"{len(where)} texts of users or answers have an e-mail address, first {where[0]}; "
                "submit the run with --private, and with pseudonyms as ids"
            )
    return found


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, and every name with its text, with where it is."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inside in value.items():
            within = path or "an object"
            yield within, f"{name}={inside}" if isinstance(inside, str) else name
            yield from _texts(inside, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        for index, inside in enumerate(value):
            yield from _texts(inside, f"{path}.{index}")


def _texts_of_people(run: Run) -> Iterator[tuple[str, str]]:
    """Every text of users and answers, with what it is: ids are named by their place."""
    for row, query in enumerate(run.asked):
        yield f"the ids of row {row} of the queries", f"{query.user} {query.query}"
        yield f"the reference of row {row} of the queries", query.reference or ""
        for name, text in query.fields.items():
            yield f"field {name} of row {row} of the queries", text
    for row, past in enumerate(run.past_records):
        yield f"row {row} of the histories", f"{past.record} {past.beginning or ''}"
    for index, prediction in enumerate(run.predictions):
        yield f"answer {index}", prediction.prediction or ""
