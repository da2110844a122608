"""Submissions: runs that others recorded, each group in a folder `results/submissions/NAME/`.

Such a folder is laid out like `results/` itself, with one file more, which says who recorded its
runs.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lampbench.record.typed_json import Mismatch, brief, from_json, loads
from lampbench.util.bounds import LONGEST_NAME
from lampbench.util.regular_file import read_regular

SUBMISSIONS = "submissions"
"""The folder of all submissions, below that of recorded runs."""
SUBMISSION = "submission.json"
"""The file that makes a folder a submission."""
SUBMISSION_FORMAT = 1

_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Who recorded some runs, and which.

    `runs` are their folders, relative to that of the submission; `created` is in UTC (ISO 8601).

    Raises:
        ValueError: the name is empty, too long or has several lines, or `url` is no web address.
    """

    name: str
    created: str
    runs: tuple[str, ...]
    url: str | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > LONGEST_NAME or not self.name.isprintable():
            raise ValueError(f"name must be one line of 1 to {LONGEST_NAME} characters")
        if self.url is not None and not _LINK.fullmatch(self.url):
            raise ValueError("url must begin with http:// or https:// and have no blanks")

    def to_json(self) -> bytes:
        """The content of submission.json."""
        content = {"format": SUBMISSION_FORMAT, **asdict(self)}
        return json.dumps(content, indent=1, sort_keys=True).encode("ascii") + b"\n"


def read_submission(folder: Path) -> Submission:
    """Who recorded the runs of a folder.

    Raises:
        ValueError: there is no sound submission.json; the message says what is wrong.
    """
    try:
        content: Any = loads(read_regular(folder / SUBMISSION))
    except OSError as error:
        raise ValueError(f"{SUBMISSION} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{SUBMISSION} is {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{SUBMISSION} is not an object")
    if (found := content.pop("format", None)) != SUBMISSION_FORMAT:
        shown = found if isinstance(found, int) and abs(found) < 10**9 else brief(found)
        raise ValueError(f"{SUBMISSION}: format {shown}, this lampbench reads {SUBMISSION_FORMAT}")
    try:
        return from_json(Submission, content)
    except Mismatch as error:
        raise ValueError(f"{SUBMISSION}: {error}") from error


def submission_folders(results: Path) -> list[Path]:
    """The submissions below a folder of recorded runs, in order of their names."""
    try:
        found = sorted((results / SUBMISSIONS).iterdir())
    except OSError:
        return []
    return [folder for folder in found if (folder / SUBMISSION).is_file()]


def submitter_of(root: Path) -> str | None:
    """Who recorded the runs below `root`; None where that is no submission.

    Raises:
        ValueError: as `read_submission`.
    """
    return read_submission(root).name if (root / SUBMISSION).is_file() else None
