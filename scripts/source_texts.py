"""Read and clean the sources: posts in the public domain, posts of blogs, the Anthology's papers.

Serves the scripts that make the bundled data and pre-train the models; nothing else imports it.
"""

import gzip
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Json = dict[str, Any]

POSTS, BLOGS, PAPERS = "gov_posts.jsonl.gz", "blog_posts.jsonl.gz", "acl_papers.jsonl.gz"
COLUMNS = {
    POSTS: ("id", "author", "source", "date", "title", "summary", "content"),
    BLOGS: ("id", "author", "source", "date", "title", "summary", "content", "url", "license"),
    PAPERS: ("id", "authors", "date", "title", "abstract"),
}

CONTENT_WORDS, ARTICLE_WORDS = 150, 75
"""Posts are cut to a length that a small model can read and write."""


def read_source(folder: Path, name: str) -> list[Json]:
    """All rows of one of the files.

    Raises:
        SystemExit: with one line and exit code 2, if it is missing or malformed.
    """
    path = folder / name
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows: list[Json] = [json.loads(line) for line in lines]
    except (OSError, EOFError, ValueError) as error:
        stop(f"{path}: cannot be read as gzipped JSON lines ({error}); see scripts/README.md")
    for number, row in enumerate(rows, 1):
        missing = [column for column in COLUMNS[name] if column not in row]
        if missing:
            stop(f"{path}: line {number} has no {', '.join(missing)}; see scripts/README.md")
    return rows


def stop(message: str) -> Any:
    """End the script with exit code 2 and one line on stderr."""
    print(message, file=sys.stderr)
    raise SystemExit(2)


def clean_paper_text(text: str) -> str:
    """The text without the LaTeX and HTML markup that some titles and abstracts have."""
    text = re.sub(r"\\[a-zA-Z]+\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"</?[a-z]+>", "", text)
    text = re.sub(r"\\([%&_#$])", r"\1", text)
    return " ".join(text.split())


def clean_post(text: str) -> str:
    """A post's paragraphs without the remains of the blog's templates.

    Removes horizontal rules, code, image and team placeholders, quotation marks of replies, the
    editors' italic paragraphs (who the author is, where it first appeared) and line breaks inside
    a paragraph.
    """
    text = re.sub(r"```.*?(```|\Z)", "", text, flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#\w*\}|\{:.*?\}|\[youtube=[^\]]*\]", "", text)
    text = re.sub(r"\[([^\]\[]*)\]\[\w*\]", r"\1", text)
    text = re.sub(r"^[ \t]*(>[ \t]?)+|^[ \t]*[-=|]{3,}[ \t]*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\([_\[\]#*`.])", r"\1", text)
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    kept = [part for part in paragraphs if re.search(r"\w", part)]
    return "\n\n".join(part for part in kept if not re.fullmatch(r"_.*_\.?", part))


def join_words(text: str) -> str:
    """The text without blank lines around single words within a sentence.

    Some posts of the blogs have them where a link was.
    """
    return re.sub(r"(\n\n[a-z]+){2,}\n\n(?=[a-z])", lambda m: " ".join(m[0].split("\n\n")), text)


def cut_words(text: str, most: int) -> str:
    """At most `most` words, cut at the end of a sentence if one ends in the second half."""
    words = list(re.finditer(r"\S+", text))
    if len(words) <= most:
        return text
    head = text[: words[most - 1].end()]
    ends = [match.end() for match in re.finditer('[.!?]["\u201d\u2019)]*(?=\\s|$)', head)]
    if ends and len(head[: ends[-1]].split()) >= most // 2:
        return head[: ends[-1]]
    return head


def usable_posts(posts: Iterable[Json]) -> list[Json]:
    """Posts with article, headline, summary and content, if all of these are usable.

    The summary is often just the beginning of the content, so that the prompt would give the
    answer away; then the title replaces it. A post that begins with its own headline is left out
    for the same reason.
    """
    usable = []
    for post in posts:
        body, title = clean_post(post["content"]), " ".join(post["title"].split())
        article = " ".join(cut_words(body, ARTICLE_WORDS).split())
        content = cut_words(body, CONTENT_WORDS)
        summary = " ".join(post["summary"].split())
        if _plain(body).startswith(_plain(title)):
            continue
        if len(title.split()) < 3 or len(content.split()) < 80 or len(article.split()) < 30:
            continue
        if len(summary.split()) < 5 or _plain(summary)[:40] in _plain(body):
            summary = title
        made = {"title": title, "article": article, "short": content, "summary": summary}
        usable.append({**post, "content": body, **made})
    return usable


def usable_papers(papers: Iterable[Json]) -> list[Json]:
    """Papers with authors, a title and an abstract of usual length; each text only once."""
    usable, seen = [], set[str]()
    for paper in papers:
        title, abstract = clean_paper_text(paper["title"]), clean_paper_text(paper["abstract"])
        keys = {_plain(title), _plain(abstract)}
        if not paper["authors"] or len(title.split()) < 4 or keys & seen:
            continue
        if not 60 <= len(abstract.split()) <= 220 or "$" in title or "\\" in title + abstract:
            continue
        seen |= keys
        usable.append({**paper, "title": title, "abstract": abstract})
    return usable


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
