"""The page of some runs, parsed."""

import json
from html.parser import HTMLParser

from lampbench.report.page.build import page_of


class Page(HTMLParser):
    """A page's elements, attributes, scripts, table rows and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.scripts, self.rows, self.text = [], [], [], [], ""
        self._inside = ""  # the cell or script that text belongs to
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append("")
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag == "small" and self._inside in ("th", "td"):
            self.rows[-1][-1] += " "
        if tag in ("script", "th", "td"):
            self._inside = tag

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
            return
        self.text += data
        if self._inside:
            self.rows[-1][-1] += data

    def json(self, place):
        return json.loads(self.scripts[place])

    def row(self, label):
        return next(row for row in self.rows if row and row[0] == label)

    def labels(self, part):
        """Descriptions of plots that hold `part`."""
        return [value for name, value in self.attributes if name == "aria-label" and part in value]

    def answers(self):
        """The example browser's answers, in order."""
        tasks = [task for setup in self.json(0) for task in setup["tasks"]]
        return [answer for task in tasks for q in task["queries"] for answer in q["answers"]]


def built(*runs, count=12):
    return Page(page_of(runs, count))
