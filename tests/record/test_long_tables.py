"""A run whose texts are longer than a file may be: recorded in several, and read everywhere."""

import gzip
import json
import shutil
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from itertools import pairwise
from random import Random

import pytest

from lampbench.core.dataset import Dataset
from lampbench.execution.run_shard import execute_shard
from lampbench.execution.runner import execute
from lampbench.execution.shard import Shard
from lampbench.record import gzip_text, table_files
from lampbench.record.columns import from_text, to_text
from lampbench.record.forget import forget_in_results
from lampbench.record.gzip_text import compress, text_blocks
from lampbench.record.manifest import MANIFEST, Manifest
from lampbench.record.recorded_run import read_run
from lampbench.record.rescore import HistorySource, rescore
from lampbench.record.runs import load_runs
from lampbench.record.table_files import part_names, read_columns, table_texts
from lampbench.record.write_submission import write_folder
from lampbench.registry import Registry
from lampbench.scoring import METRICS, Scoring
from lampbench.study.verify_submission import verify_submission
from lampbench.util import disk_list
from lampbench.util.errors import LampbenchError
from tests.shared.fake_runs import person

MOST = 900  # bytes of a file's text: a few rows of these runs
PEOPLE = tuple(person(f"user{number}", records=9) for number in range(9))
TABLES = ("predictions.json.gz", "scores.json.gz")


def table(random, rows):
    words = ["plain", "é\ud83d", '"quoted", [1]', "", "{}", "longer " * 4]
    return {
        "user": [f"user{number}" for number in range(rows)],
        "value": [random.choice([None, True, 7, -0.125, 1e-30]) for _ in range(rows)],
        "text": [random.choice(words) for _ in range(rows)],
        "list": [[random.choice(words)] * random.randrange(3) for _ in range(rows)],
    }


def texts_of(columns):
    rows = zip(*columns.values(), strict=True)
    return [b"".join(text.blocks()) for text in table_texts(list(columns), rows)]


@pytest.mark.parametrize("rows", [0, 1, 2, 57])
def test_a_table_that_fits_is_one_text_as_ever_and_a_longer_one_is_split(monkeypatch, rows):
    columns = table(Random(rows), rows)
    whole = to_text(columns)
    for most in (len(whole), len(whole) - 1, 400, 200):
        monkeypatch.setattr(gzip_text, "LARGEST", most)
        texts = texts_of(columns)
        assert (texts == [whole]) == (len(whole) <= most or rows < 2)
        read = [from_text(text) for text in texts]
        assert {name: [v for one in read for v in one[name]] for name in columns} == columns
        if rows < 2:
            continue
        assert all(len(text) <= most for text in texts)
        for text, following in pairwise(read):
            longer = {name: [*text[name], following[name][0]] for name in columns}
            assert len(to_text(longer)) > most, "the next row would have fitted"


def test_a_row_that_fits_into_no_file_is_refused(monkeypatch):
    monkeypatch.setattr(gzip_text, "LARGEST", 200)
    columns = {"text": ["short", "x" * 300, "short"]}
    short, long, last = texts_of(columns)
    assert from_text(short) == from_text(last) == {"text": ["short"]}
    with pytest.raises(LampbenchError, match="cannot be recorded, 200 at most; shorten"):
        compress(long)


@pytest.mark.parametrize("rows", [0, 1, 3_500])
def test_columns_on_disk_are_those_in_memory(monkeypatch, rows):
    columns = table(Random(rows), rows)
    packed = BytesIO(compress(to_text(columns)))
    assert read_columns(packed) == columns
    monkeypatch.setattr(table_files, "PARSED_AT_ONCE", 0)
    found = read_columns(packed)
    assert all(isinstance(column, disk_list.DiskList) for column in found.values())
    if rows:  # an empty list has no item that says that it is there
        assert {name: list(column) for name, column in found.items()} == columns


@pytest.mark.parametrize(
    "text",
    [b"[]", b"", b'{"a": 1}', b'{"a": [1], "b": [1, 2]}', b'{"a": [1], "a": [2]}', b'{"a": [1]} 2',
     b'{"a": [1}', b'{"a": ["\xff"]}', b'{"a": [1]', b'{"a": [' + b"[" * 100_000],
)  # fmt: skip
def test_a_long_text_that_is_no_table_is_refused(monkeypatch, text):
    monkeypatch.setattr(table_files, "PARSED_AT_ONCE", -1)
    with pytest.raises(ValueError):
        read_columns(BytesIO(compress(text)))


@pytest.fixture
def small(monkeypatch):
    """Every table of these runs is long, and many rows are a few."""
    monkeypatch.setattr(gzip_text, "LARGEST", MOST)
    monkeypatch.setattr(table_files, "PARSED_AT_ONCE", MOST // 2)
    monkeypatch.setattr(disk_list, "FEW", 4)


@pytest.fixture
def plan(planner):
    """A plan for nine users."""
    data = Dataset("news_headline", "a test", (person("train"),), PEOPLE)
    return lambda method="rag", **options: planner(method, data=data, **options)


def files(run):
    """The names of a run's files by table, and the shared ones."""
    data = run.manifest.dataset
    own = [part_names(run.manifest.files, table) for table in TABLES]
    return [*own, data.queries_files, data.histories_files]


def content(run):
    """All that is read of a run."""
    return (
        list(run.predictions), list(run.scores), list(run.asked), list(run.past_records),
        dict(run.queries), {user: dict(texts) for user, texts in run.histories.items()},
    )  # fmt: skip


def described(run):
    """What a manifest says, but for files and what differs from one time to the next."""
    costs = [replace(stage, seconds=0.0) for stage in run.manifest.stages]
    data = run.manifest.dataset
    first = data.with_files(data.queries_files[:1], data.histories_files[:1])
    same = replace(
        first, queries_file=replace(first.queries_file, name="0" * 16 + ".queries.json.gz",
        sha256=""), histories_file=replace(first.histories_file, sha256="",
        name="0" * 16 + ".histories.json.gz"),
    )  # fmt: skip
    return replace(
        run.manifest, stages=tuple(costs), created="", files={}, versions={}, dataset=same
    )


@pytest.mark.parametrize("private", [False, True])
def test_all_that_is_recorded_is_read_again(plan, tmp_path, request, private):
    results = tmp_path / "results"
    expected = read_run(execute(plan(private=private, cache="one"), "test", results))
    was = content(expected), described(expected)
    assert [len(names) for names in files(expected)] == [1, 1, 1, 1]
    assert b"more_" not in (expected.path / MANIFEST).read_bytes()
    shutil.rmtree(results)
    request.getfixturevalue("small")
    execute(plan(private=private, cache="two"), "test", results)
    (run,), problems = load_runs(results)
    assert problems == [] and all(len(names) > 1 for names in files(run)), files(run)
    assert (content(run), described(run)) == was
    for file in results.rglob("*.json.gz"):
        assert len(gzip.decompress(file.read_bytes())) <= MOST


def test_shards_record_the_same_files(plan, tmp_path, small):
    results = tmp_path / "results"
    folder = execute(plan(cache="one"), "test", results)
    alone = {file.name: file.read_bytes() for file in folder.glob("*.gz")}
    shutil.rmtree(results)
    for index in range(3):
        last = execute_shard(plan(cache="three"), Shard(index, 3), "test", results)
    assert last == folder
    assert {file.name: file.read_bytes() for file in folder.glob("*.gz")} == alone


@pytest.fixture
def run(plan, tmp_path, small):
    """A recorded run in many files."""
    return read_run(execute(plan(), "test", tmp_path / "results"))


def test_every_file_is_checked_and_named(run, tmp_path):
    data = run.manifest.dataset
    own = [run.path / name for name in run.manifest.files]
    shared = [run.path.parents[2] / f.name for f in (*data.queries_files, *data.histories_files)]
    for file in (*own, *shared):
        before = file.read_bytes()
        for after in (None, before[:-9] + b"x" + before[-8:], compress(b'{"user":[]}\n')):
            file.unlink(missing_ok=True)
            if after is not None:
                file.write_bytes(after)
            (problem,) = load_runs(tmp_path / "results")[1]
            assert file.name in str(problem) and "\n" not in str(problem)
            parts = {"predictions": "predictions", "scores": "scores", "queries": "asked",
                     "histories": "past_records"}  # fmt: skip
            part = next(part for kind, part in parts.items() if kind in file.name)
            with pytest.raises(LampbenchError, match=file.name):
                getattr(replace(run), part)
        file.write_bytes(before)
    assert load_runs(tmp_path / "results")[1] == []


@pytest.mark.parametrize("name", ["predictions-2.json.gz", "scores-1.json.gz", "../x.json.gz"])
def test_a_manifest_names_the_files_of_a_table_without_a_gap(run, name):
    names = dict(run.manifest.files)
    names.pop(name, None) or names.update({name: "0" * 64})
    with pytest.raises(ValueError, match="does not record the hashes"):
        Manifest.from_json(replace(run.manifest, files=names).to_json())


def test_files_whose_rows_do_not_fit_together_are_refused(run):
    def rewritten(name, change):
        columns = json.loads(gzip.decompress((run.path / name).read_bytes()))
        change(columns)
        packed = compress(to_text(columns))
        (run.path / name).write_bytes(packed)

        names = {**run.manifest.files, name: sha256(packed).hexdigest()}
        changed = replace(run.manifest, files=names)
        (run.path / MANIFEST).write_bytes(changed.to_json())
        return replace(run, manifest=changed)

    kept = {name: (run.path / name).read_bytes() for name in run.manifest.files}
    changed = rewritten("scores-2.json.gz", lambda columns: columns.pop("rouge1"))
    with pytest.raises(LampbenchError, match="'rouge1' is not in every file of the scores"):
        changed.scores  # noqa: B018
    first = json.loads(gzip.decompress(kept["predictions.json.gz"]))

    def repeat(columns):
        columns["user"][0], columns["query"][0] = first["user"][0], first["query"][0]

    changed = rewritten("predictions-2.json.gz", repeat)
    with pytest.raises(LampbenchError, match="is there twice"):
        changed.predictions  # noqa: B018


def test_a_run_in_many_files_is_scored_again_sent_verified_and_forgotten(run, tmp_path):
    results = tmp_path / "results"
    before = content(run)
    again = rescore(run, Scoring(tuple(METRICS)), HistorySource(Registry()))
    assert not again.written, "what is computed again is what is recorded"
    for name, private in (("open", False), ("closed", True)):
        write_folder([run], tmp_path / name, "X", private=private)
        (sent,), problems = load_runs(tmp_path / name)
        assert problems == [] and sent.scores == run.scores and all(map(len, files(sent)))
        found = verify_submission(tmp_path / name)
        assert found.holds, [found.whole.refused, *(one.refused for _, one in found.runs)]
    assert content(load_runs(tmp_path / "open")[0][0]) == before
    assert "news" not in "".join(
        b"".join(text_blocks(BytesIO(file.read_bytes()))).decode()
        for file in (tmp_path / "closed").rglob("*.json.gz")
    )
    removed, left = forget_in_results(results, "user4", print)
    assert removed and left == []
    (after,), problems = load_runs(results)
    assert problems == [] and all(len(names) > 1 for names in files(after))
    assert content(after)[:4] == tuple(
        [one for one in rows if (one["user"] if isinstance(one, dict) else one.user) != "user4"]
        for rows in before[:4]
    )
    named = {file.name for table in files(after)[2:] for file in table}
    assert {file.name for file in run.path.parents[2].glob("*.json.gz")} == named
