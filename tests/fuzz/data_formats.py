"""The formats of datasets, and of files that are read beside them."""

import gzip
import io
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.registry import Registry
from tests.data.made_files import news_profile, news_question, oppu_user, topic_row
from tests.fuzz.formats import Files, Format, change_files
from tests.fuzz.mutations import ODD_VALUES


@cache
def _task(name: str) -> Task:
    return Registry().task(name)


def check_dataset(dataset: Dataset) -> None:
    """Check that what a loader made of a source is sound, whatever the source held."""
    assert dataset.test_users and dataset.fingerprint and dataset.query_fingerprint
    names = [user.id for user in (*dataset.test_users, *dataset.train_users)]
    texts = [*names, *dataset.notes, dataset.licence, dataset.attribution, dataset.description]
    for user in dataset.test_users:
        assert user.history and user.queries
        assert len({record.id for record in user.history}) == len(user.history)
        assert len({query.id for query in user.queries}) == len(user.queries)
    for user in (*dataset.test_users, *dataset.train_users):
        texts.append(user.profile or "")
        for record in user.history:
            assert record.target
            texts += [record.id, record.target, record.date or "", *record.fields.values()]
        for query in user.queries:
            assert query.reference != ""
            texts += [query.id, query.reference or "", query.date or "", *query.fields.values()]
    for text in texts:
        assert isinstance(text, str) and "\0" not in text
        text.encode()
        assert text.casefold().strip("+-") not in ("nan", "inf", "infinity")


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(_json(row) + b"\n" for row in rows)


def _news(task: str, kind: str, folder: Path, **options: Any) -> None:
    check_dataset(load_dataset(_task(task), f"{kind}:{folder}", DataOptions(**options)))


def lamp_files(*, named: bool) -> Files:
    """LaMP files: two splits, or one of users without ids; two users each."""
    files: Files = {}
    for split in ("train", "dev") if named else ("dev",):
        people = [f"{split}{n}" for n in range(2)]
        questions = [
            news_question(f"q{one}", news_profile(one, 1 + n)) for n, one in enumerate(people)
        ]
        for question, one in zip(questions, people, strict=True):
            question |= {"user_id": one} if named else {}
        golds = [{"id": q["id"], "output": f"Gold {q['id']}"} for q in questions]
        files[f"{split}_questions.json"] = _json(questions)
        files[f"{split}_outputs.json"] = _json({"task": "LaMP_4", "golds": golds})
    return files


def _oppu() -> Files:
    people = [oppu_user(n, n + 1) for n in range(2)]
    return {
        "user_top_100_history.json": _json(people),
        "user_others.json": _json([oppu_user(8, 1), oppu_user(9, 0)]),
        "profile_user_100.json": _json([{"id": n, "output": f"profile {n}"} for n in range(2)]),
        "user_top_100_history_label.json": _json({
            "task": "LaMP_4",
            "golds": [{"id": q["id"], "output": q["gold"]} for one in people for q in one["query"]],
        }),
    }  # fmt: skip


def _topic_rows(split: int) -> list[dict[str, Any]]:
    return [topic_row(f"t{n}", split, n + 1) for n in range(2)]


def _longlamp_json() -> Files:
    """Each split in another form: a list, lines, packed lines."""
    train, dev, test = (_topic_rows(split) for split in range(3))
    return {
        "topic_writing_user/train.json": _json(train),
        "topic_writing_user/val.jsonl": _lines(dev),
        "topic_writing_user/test.jsonl.gz": gzip.compress(_lines(test)),
    }


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer, compression=None)
    return buffer.getvalue()


def _longlamp_parquet() -> Files:
    return {"topic_writing_user/train.parquet": _parquet(_topic_rows(0))}


def _change_parquet(random: Random, folder: Path, files: Mapping[str, bytes]) -> None:
    """Half of the time other values and types in sound parquet, else changed bytes."""
    import datetime
    import decimal

    import pyarrow

    if random.random() < 0.5:
        return change_files(random, folder, files)
    rows = _topic_rows(random.randrange(3))
    odd = [*ODD_VALUES, b"\xff", datetime.date(2020, 1, 1), datetime.datetime(1, 1, 1),
           decimal.Decimal("1.5"), datetime.timedelta(1), [b"x"], 2**63 - 1]  # fmt: skip
    holders = [*rows, *(entry for row in rows for entry in row["profile"])]
    name = random.choice(sorted(random.choice(holders)))
    value = random.choice(odd)
    for holder in holders if random.random() < 0.7 else random.sample(holders, 1):
        if name in holder:
            holder[name] = value
    if random.random() < 0.2:
        rows = [{key: row[key] for key in row if key != name} for row in rows]
    try:
        content = _parquet(rows)
    except (pyarrow.ArrowException, ValueError, TypeError, OverflowError):
        return change_files(random, folder, files)  # parquet cannot hold that
    (folder / random.choice(sorted(files))).write_bytes(content)
    return None


def _own_layout() -> Files:
    def person(name: str, records: int) -> dict[str, Any]:
        return {
            "id": name,
            "profile": None,
            "history": [_entry(f"{name}r{n}", f"text {n} of {name}") for n in range(records)],
            "queries": [_entry(f"{name}q", f"asked of {name}")],
        }

    head = {"task": "news_headline", "source": "made", "licence": "CC0", "attribution": "us",
            "description": "small", "synthetic": True, "notes": ["one"]}  # fmt: skip
    return {
        "dataset.json": _json(head),
        "test.jsonl": _lines([person("a", 2), person("b", 1)]),
        "train.jsonl": _lines([person("c", 0)]),
        "dev.jsonl": _lines([person("d", 1)]),
        "CREDITS.tsv": b"id\tauthors\na\tA; B\nb\tC\n",
    }


def _entry(name: str, text: str) -> dict[str, Any]:
    return {"id": name, "date": "2014-01-01", "fields": {"text": text}, "target": f"t {name}"}


def _read_own_layout(folder: Path) -> None:
    from lampbench.data.sources import load_credits, load_dev_users

    _news("news_headline", "lampbench", folder)
    task, data = _task("news_headline"), f"lampbench:{folder}"
    load_dev_users(task, data, DataOptions())
    for authors in load_credits(task, data).values():
        assert all(isinstance(name, str) for name in authors)


def _predictions() -> Files:
    golds = [{"id": f"q{n}", "output": f"an answer {n}"} for n in range(4)]
    return {"theirs.json": _json({"task": "LaMP_4", "golds": golds})}


@cache
def _predicted() -> Dataset:
    from lampbench.core.dataset import Query, Record, User

    history = (Record("r", {"text": "past"}, "title"),)
    queries = [Query(f"q{n}", {"text": f"asked {n}"}, f"gold {n}") for n in range(4)]
    people = (User("a", history, tuple(queries[:2])), User("b", history, tuple(queries[2:])))
    return Dataset("news_headline", "made", (), people)


def _read_predictions(folder: Path) -> None:
    from lampbench.record.import_export import read_prediction_file

    rows = read_prediction_file(folder / "theirs.json", _task("news_headline"), _predicted())
    assert [row.query for row in rows] == [f"q{n}" for n in range(4)]
    for row in rows:
        assert row.prediction is not None and row.prediction.encode() is not None


def _corpus() -> Files:
    documents = [{"id": f"d{n}", "text": f"some words of document {n} " * 5} for n in range(3)]
    return {"corpus.jsonl": _lines(documents), "packed.jsonl.gz": gzip.compress(_lines(documents))}


def _read_corpus(folder: Path) -> None:
    from lampbench.cli.data_audit import _documents

    for name in ("corpus.jsonl", "packed.jsonl.gz"):
        for document in _documents(folder / name):
            assert document.id and any(document.texts)


def _sketch() -> Files:
    import tempfile

    from lampbench.data.leaks.corpus_sketch import make_sketch, save_sketch

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus.npz"
        words = " ".join(f"word{n}" for n in range(200))
        save_sketch(make_sketch([("a", [words]), ("b", [words[50:]])]), file)
        return {"corpus.npz": file.read_bytes()}


def _read_sketch(folder: Path) -> None:
    from lampbench.data.leaks.corpus_sketch import load_sketch

    found = load_sketch(folder / "corpus.npz")
    assert all(isinstance(name, str) for name in found.documents)
    assert (found.ngrams[1:] > found.ngrams[:-1]).all()


DATA_FORMATS = [
    Format("LaMP", lambda: lamp_files(named=True),
           lambda f: _news("news_headline", "lamp", f, users=2)),
    Format("LaMP without user ids", lambda: lamp_files(named=False),
           lambda f: _news("news_headline", "lamp", f, users=1)),
    Format("OPPU and CoPe", _oppu, lambda f: _news("news_headline", "oppu", f)),
    Format("LongLaMP JSON", _longlamp_json,
           lambda f: _news("topic_writing", "longlamp", f, users=1)),
    Format("LongLaMP parquet", _longlamp_parquet,
           lambda f: _news("topic_writing", "longlamp", f, users=1), change=_change_parquet),
    Format("own layout", _own_layout, _read_own_layout),
    Format("imported predictions", _predictions, _read_predictions),
    Format("pre-training text", _corpus, _read_corpus),
    Format("sketch of pre-training text", _sketch, _read_sketch),
]  # fmt: skip
