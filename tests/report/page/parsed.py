"""The page of some runs, parsed."""

import gzip
import json
from base64 import b64decode
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

from lampbench.record.recorded_run import Run
from lampbench.report.page.build import report_files


class Page(HTMLParser):
    """A page's elements, attributes, scripts, table rows and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._data: list[tuple[str, int]] = []  # kinds of data, and their scripts
        self._inside = ""  # the cell or script that text belongs to
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "script":
            self._data.append((dict(attrs).get("class") or "", len(self.scripts)))
            self.scripts.append("")
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag == "small" and self._inside in ("th", "td"):
            self.rows[-1][-1] += " "
        if tag in ("script", "th", "td"):
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
            return
        self.text += data
        if self._inside:
            self.rows[-1][-1] += data

    def packed(self, kind: str) -> list[Any]:
        """What the scripts with data of a kind hold."""
        texts = [self.scripts[place] for found, place in self._data if found == kind]
        return [json.loads(gzip.decompress(b64decode(text))) for text in texts]

    def row(self, label: str) -> list[str]:
        return next(row for row in self.rows if row and row[0] == label)

    def labels(self, part: str) -> list[str]:
        """Descriptions of plots that hold `part`."""
        found = [value for name, value in self.attributes if name == "aria-label" and part in value]
        return [value for value in found if not value.startswith("Link to ")]

    def answers(self) -> list[dict[str, Any]]:
        """The example browser's answers, in order."""
        tasks = [task for tasks in self.packed("examples") for task in tasks]
        return [answer for task in tasks for q in task["queries"] for answer in q["answers"]]


def page_of(runs: Iterable[Run], count: int) -> str:
    """The text of the page for some runs."""
    return report_files(runs, count)[0]


def built(*runs: Run, count: int = 12) -> Page:
    return Page(page_of(runs, count))
