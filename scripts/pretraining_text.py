"""The pre-training text of the small models: chosen, rendered and laid out as tokens."""

import json
import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lampbench.bundled import DATA
from lampbench.core.dataset import Record
from lampbench.data.leaks.audit import name_letters
from lampbench.data.leaks.corpus_sketch import make_sketch, save_sketch
from lampbench.data.leaks.ngrams import text_ngrams
from lampbench.registry import Registry
from scripts.source_texts import (
    PAPERS,
    POSTS,
    Json,
    clean_paper_text,
    clean_post,
    cut_words,
    read_source,
    stop,
    usable_posts,
)
from scripts.tokenizer import BOS, EOS, train_tokenizer
from scripts.user_rows import read_users, user_ngrams

Tokens = np.ndarray[Any, np.dtype[np.uint16]]

PAPER_TASKS = ("scholarly_title", "abstract_generation")
POST_TASKS = ("news_headline", "topic_writing")
COLUMNS_OF = {
    "scholarly_title": ("abstract", "abstract", "title"),
    "abstract_generation": ("title", "title", "abstract"),
    "news_headline": ("text", "article", "title"),
    "topic_writing": ("summary", "summary", "short"),
}
"""By task: its prompt's field, the column of the input and the column of the answer."""

SHORTEST, LONGEST = 30, 1500
"""Words per text: shorter ones are left out, longer posts are cut."""

REGISTRY = Registry()


def bundled_users(*splits: str) -> list[Json]:
    """The users of these splits of all tasks with real text."""
    return [
        user
        for task in COLUMNS_OF
        for name in splits
        for user in read_users(DATA / task / f"{name}.jsonl")
    ]


def read_documents(source: Path) -> tuple[list[Json], list[Json], dict[str, int]]:
    """Posts and papers that may be trained on, and how many were left out, by reason.

    The model must see nothing of a test or dev user: nothing that they wrote, alone or with
    others, and no text that shares a 13-gram with theirs. Neither may it see what trains the task
    adapters, so that they have something left to learn: not these records, no text that shares a
    13-gram with one, and no post by their authors.
    """
    tested, trained = bundled_users("test", "dev"), bundled_users("train")
    testers = {name_letters(user["id"]) for user in tested}
    taken = {query["id"] for user in trained for query in user["queries"]}
    trainers = {name_letters(user["id"]) for user in trained}
    seen = user_ngrams((*tested, *trained))
    out = {"test_author": 0, "task_training": 0, "shared_words": 0, "too_short": 0}

    def keep(row: Json, authors: Sequence[str], text: Sequence[str]) -> bool:
        if testers & {name_letters(author) for author in authors}:
            reason = "test_author"
        elif row["id"] in taken or name_letters(row.get("author", "")) in trainers:
            reason = "task_training"
        elif any(text_ngrams(part) & seen for part in text):
            reason = "shared_words"
        elif len(text[-1].split()) < SHORTEST:
            reason = "too_short"
        else:
            return True
        out[reason] += 1
        return False

    posts = [{**post, "body": clean_post(post["content"])} for post in read_source(source, POSTS)]
    papers = [
        {**paper, "title": clean_paper_text(paper["title"]),
         "abstract": clean_paper_text(paper["abstract"])}
        for paper in read_source(source, PAPERS)
    ]  # fmt: skip
    posts = [p for p in posts if keep(p, [p["author"]], (p["title"], p["summary"], p["body"]))]
    papers = [p for p in papers if keep(p, p["authors"], (p["title"], p["abstract"]))]
    return posts, papers, out


def compare_with_users(posts: list[Json], papers: list[Json], output: Path) -> dict[str, int]:
    """Compare every document with all bundled users, and write a sketch of the documents.

    The choice of the documents should have left nothing to find. This looks at the documents that
    were chosen, held-out ones included, so that an error of the choice shows. `output` is where
    the sketch goes; `lampbench data audit` reads it from the model's folder.

    Returns:
        How many documents were compared, and how many 13-grams they share with the users.

    Raises:
        SystemExit: they share any.
    """
    seen = user_ngrams(bundled_users("test", "dev", "train"))
    texts: list[tuple[str, tuple[str, ...]]] = [
        (post["id"], (post["title"], post["summary"], post["body"])) for post in posts
    ]
    texts += [(paper["id"], (paper["title"], paper["abstract"])) for paper in papers]
    shared = sum(len(text_ngrams(text) & seen) for _, parts in texts for text in parts)
    if shared:
        stop(
            f"the documents share {shared} 13-grams with the bundled users; correct read_documents"
        )
    save_sketch(make_sketch(texts), output)
    return {"documents": len(texts), "runs_shared": shared}


def plain_document(title: str, body: str) -> str:
    """A document as plain text."""
    return f"{BOS}{title}\n\n{body}{EOS}"


class Renderer:
    """Documents as the model reads them: as plain text, or in a task's prompt with its answer.

    `mixture` has the shares: `instruction` of the papers are put into a prompt; `quoting` of all
    prompts first quote one or two other texts of the same author, as RAG does.
    """

    def __init__(
        self, posts: list[Json], papers: list[Json], tokenizer: Any, mixture: Json, seed: int
    ) -> None:
        self.posts, self.papers, self.tokenizer, self.mixture = posts, papers, tokenizer, mixture
        self.chance = random.Random(seed)
        self.answerable = usable_posts(posts)
        self.by_author: dict[str, list[Json]] = defaultdict(list)
        for paper in papers:
            self.by_author[(paper["authors"] or [""])[-1]].append(paper)
        for post in self.answerable:
            self.by_author[post["author"]].append(post)

    def one_pass(self) -> Iterator[str]:
        """Every paper once, every post `posts` times as plain text and in each of its prompts."""
        for paper in self.papers:
            if self.chance.random() >= self.mixture["instruction"]:
                yield plain_document(paper["title"], paper["abstract"])
            else:
                yield self.prompted(paper, self.chance.choice(PAPER_TASKS))
        for _ in range(self.mixture["posts"]):
            for post in self.posts:
                yield plain_document(post["title"], cut_words(post["body"], LONGEST))
            for post in self.answerable:
                yield from (self.prompted(post, task) for task in POST_TASKS)

    def prompted(self, row: Json, name: str) -> str:
        """A record in a task's prompt, as the harness renders it."""
        task = REGISTRY.task(name)
        record = as_record(row, name)
        quoted = ""
        if self.chance.random() < self.mixture["quoting"]:
            author = row.get("author") or (row["authors"] or [""])[-1]
            others = [other for other in self.by_author[author] if other["id"] != row["id"]]
            some = self.chance.sample(others, min(len(others), self.chance.randint(1, 2)))
            quoted = "".join(task.show(as_record(other, name)) for other in some)
        prompt = task.prompt(record.fields)
        messages = [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": f"{quoted}\n{prompt.text}" if quoted else prompt.text},
            {"role": "assistant", "content": record.target},
        ]
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False))


def as_record(row: Json, task: str) -> Record:
    """A post or paper as a task's record."""
    field, column, target = COLUMNS_OF[task]
    return Record(row["id"], {field: row[column]}, row[target], None)


def lay_out(config: Json, source: Path, work: Path) -> Any:
    """Train the tokenizer and write the token arrays, unless `work` has them; the tokenizer."""
    from transformers import PreTrainedTokenizerFast

    if (work / "corpus.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
    chance = random.Random(config["seed"])
    posts, papers, left_out = read_documents(source)
    compared = compare_with_users(posts, papers, work / "corpus.npz")
    chance.shuffle(posts)
    chance.shuffle(papers)
    first_post, first_paper = (math.ceil(len(x) * config["held_out"]) for x in (posts, papers))
    held_posts, held_papers = posts[:first_post], papers[:first_paper]
    posts, papers = posts[first_post:], papers[first_paper:]
    texts = [f"{paper['title']}\n\n{paper['abstract']}" for paper in papers]
    texts += [f"{post['title']}\n\n{post['body']}" for post in posts]
    context = config["model"]["max_position_embeddings"]
    tokenizer = train_tokenizer(texts, config["tokenizer"]["vocabulary"], context)
    tokenizer.save_pretrained(work / "tokenizer")

    def encode(documents: list[str]) -> Tokens:
        ids = tokenizer(documents, add_special_tokens=False)["input_ids"]
        return np.concatenate([np.array(row, dtype=np.uint16) for row in ids])

    passes = []
    renderer = Renderer(posts, papers, tokenizer, config["mixture"], config["seed"])
    for _ in range(config["mixture"]["passes"]):
        documents = list(renderer.one_pass())
        chance.shuffle(documents)
        passes.append(encode(documents))
    np.save(work / "train.npy", np.concatenate(passes))
    once = {"instruction": 1.0, "quoting": 0.0, "posts": 1}
    asked = Renderer(held_posts, held_papers, tokenizer, once, 0).one_pass()
    held = {
        "papers": [plain_document(paper["title"], paper["abstract"]) for paper in held_papers],
        "posts": [plain_document(post["title"], post["body"]) for post in held_posts],
        "prompts": [text for text in asked if "<|assistant|>" in text],
    }
    for name, documents in held.items():
        np.save(work / f"held_out_{name}.npy", encode(documents))
    facts = {
        "papers": len(papers),
        "posts": len(posts),
        "tokens_per_pass": int(np.mean([len(tokens) for tokens in passes])),
        "left_out": left_out,
        "compared": compared,
        "held_out": {name: len(documents) for name, documents in held.items()},
    }
    (work / "corpus.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return tokenizer
