"""The Markdown pages of the checkout: their code blocks, commands, links and headings."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "benchmarks", "scripts", "tuning", "lampbench", "results/tables", ".github")

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.M | re.S)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced code block. `file` is the name in its first line, `# NAME.py`, if it has one."""

    page: str
    language: str
    body: str

    @property
    def file(self) -> str | None:
        found = re.match(r"# (\w+)\.\w+\n", self.body)
        return found[1] if found else None


def pages() -> list[str]:
    """Every page, relative to the checkout."""
    found = [*ROOT.glob("*.md"), *(p for folder in FOLDERS for p in ROOT.glob(f"{folder}/**/*.md"))]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(
            page, found["language"], re.sub(rf"^{found['indent']}", "", found["body"], flags=re.M)
        )
        for found in _FENCE.finditer(text(page))
    ]


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text(page))


def code_spans(page: str) -> list[str]:
    """What stands between single backticks in a page's prose."""
    return _INLINE.findall(prose(page))


def commands(page: str) -> Iterator[str]:
    """Lines of shell blocks."""
    for block in blocks(page):
        if block.language == "sh":
            yield from (line for line in block.body.splitlines() if line.strip())


def links(page: str) -> list[str]:
    """Targets of a page's links, as they are written."""
    return _LINK.findall(_INLINE.sub("", prose(page)))


def anchors(page: str) -> set[str]:
    """The names by which a page's headings are linked to, made as GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(prose(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found
