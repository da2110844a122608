"""A made-up source, small enough to cut and to train on within a test."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from scripts.source_texts import BLOGS, PAPERS, POSTS

WORDS = [a + b for a in ("ka", "lo", "mi", "nu", "pe", "ra") for b in ("ben", "dor", "fil", "gam")]


def sentence(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(words)).capitalize()


def body(chance: random.Random, words: int) -> str:
    return " ".join(sentence(chance, 10) + "." for _ in range(words // 10))


def made_posts(chance: random.Random) -> list[dict[str, Any]]:
    authors = [name for name in ("Ann Test", "Bob Test", "eve", "Dan Few") for _ in range(12)][:-7]
    authors += ["Eve Other"] + [f"Other Author{n}" for n in range(8)] * 2
    posts = [
        {
            "id": f"post-{number:03d}",
            "author": author,
            "source": "blog",
            "date": f"2020-{1 + number % 12:02d}-01",
            "title": sentence(chance, 7),
            "summary": "" if number % 2 else sentence(chance, 12),
            "content": body(chance, 200) + "\n\n_About the author._",
        }
        for number, author in enumerate(authors)
    ]
    posts[0]["date"] = "None"  # as some rows of the real source
    return posts


def made_blogs(chance: random.Random) -> list[dict[str, Any]]:
    authors = ["Cleo Blog"] * 40 + ["Finn Blog"] * 9 + ["Gus Blog"] * 8
    return [
        {
            "id": f"blog-{number:03d}",
            "author": author,
            "source": "site",
            "date": f"{2000 + number % 20}-05-01",
            "title": sentence(chance, 6),
            "summary": "",
            "content": body(chance, 200),
            "url": f"https://blog.example/{number}",
            "license": "CC-BY-4.0",
        }
        for number, author in enumerate(authors)
    ]


def made_papers(chance: random.Random) -> list[dict[str, Any]]:
    last = ["Jane Q. Senior"] * 30 + ["Kim Q. Tuned"] * 26 + ["Yang Liu"] * 40
    last += [f"Prof {name}" for name in ("Abel", "Beck", "Cole", "Dunn", "Ek", "Fox")] * 8
    papers: list[dict[str, Any]] = [
        {
            "id": f"paper-{number:03d}",
            "date": f"{2016 + number % 8}-07",
            "venue": "acl",
            "title": sentence(chance, 8),
            "abstract": body(chance, 100),
            "authors": [f"Student {number}", name],
        }
        for number, name in enumerate(last)
    ]
    papers[-1]["authors"].insert(0, "Jane Q. Senior")
    return papers


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three files that the scripts read."""
    folder = tmp_path_factory.mktemp("source")
    chance = random.Random(0)
    made = {POSTS: made_posts, PAPERS: made_papers, BLOGS: made_blogs}
    for name, rows in ((name, make(chance)) for name, make in made.items()):
        with gzip.open(folder / name, "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in rows)
    return folder
