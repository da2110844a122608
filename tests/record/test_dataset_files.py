"""The queries of a dataset are recorded once, beside the runs on it."""

import zlib

import pytest

from lampbench.execution.runner import execute
from lampbench.record import table_files
from lampbench.record.dataset_files import (
    RecordedQuery,
    read_queries,
    shared_path,
    write_queries,
)
from lampbench.record.runs import load_runs
from lampbench.util.errors import LampbenchError


def test_what_was_asked_and_what_prompts_quoted_is_recorded(planner, dataset, tmp_path):
    results = tmp_path / "results"
    for method in ("rag", "pag", "base"):
        execute(planner(method), "lampbench run", results)
    runs, problems = load_runs(results)
    assert not problems and len(runs) == 3
    asked = {(u.id, q.id): (q.fields, q.reference) for u in dataset.test_users for q in u.queries}
    found = {place: (one.fields, one.reference) for place, one in runs[0].queries.items()}
    assert found == asked
    assert len(list(results.rglob("*.queries.json.gz"))) == 1
    assert len(list(results.rglob("*.histories.json.gz"))) == 1
    assert runs[0].histories["ann"] == {f"ann-r{i}": f"headline {i} by ann" for i in range(3)}
    quoted = {
        run.manifest.method: {row.query: row.quoted for row in run.predictions} for run in runs
    }
    assert quoted["base"] == dict.fromkeys(quoted["base"], ())
    assert quoted["rag"]["ann-q1"][0] == "ann-r1"  # the nearest article first
    assert set(quoted["rag"]["ann-q1"]) == {"ann-r0", "ann-r1", "ann-r2"}
    assert set(quoted["pag"]["bob-q0"]) == {"bob-r0", "bob-r1"}


def test_a_second_run_leaves_them_alone_and_a_damaged_file_is_named(planner, tmp_path):
    results = tmp_path / "results"
    plan = planner("base")
    execute(plan, "lampbench run", results)
    (run,), _ = load_runs(results)
    file = shared_path(results, "news_headline", run.manifest.dataset.queries_file)
    before = file.stat().st_mtime_ns
    execute(plan, "lampbench run", results, force=True)
    assert file.stat().st_mtime_ns == before
    file.write_text('{"user": "ann"}\n')
    with pytest.raises(
        LampbenchError, match=r"queries\.json\.gz cannot be read .* repeat `lampbench run`"
    ):
        run.predictions  # noqa: B018
    file.unlink()
    with pytest.raises(
        LampbenchError, match=r"queries\.json\.gz is missing; .* repeat `lampbench run`"
    ):
        run.predictions  # noqa: B018
    execute(plan, "lampbench run", results, force=True)
    assert load_runs(results)[1] == [] and run.predictions


def test_text_that_utf8_cannot_hold_is_kept(planner, dataset, tmp_path):
    from dataclasses import replace

    first = dataset.test_users[0]
    odd = replace(first.queries[0], fields={"text": "half \ud83d \u2028 line"})
    user = replace(first, queries=(odd, *first.queries[1:]))
    data = replace(dataset, test_users=(user, *dataset.test_users[1:]))
    execute(planner("base", data=data), "", tmp_path / "results")
    (run,), _ = load_runs(tmp_path / "results")
    assert run.queries["ann", "ann-q0"].fields["text"] == "half \ud83d \u2028 line"


@pytest.mark.parametrize(("at_once", "times"), [(2**20, 1), (10, 2)])
def test_a_short_file_is_unpacked_once(tmp_path, monkeypatch, at_once, times):
    """A long one is unpacked twice, and never in memory as a whole."""
    queries = [RecordedQuery("u", str(number), {"text": "x"}, None) for number in range(9)]
    (file,) = write_queries(tmp_path, "news_headline", queries)
    unpack, started = zlib.decompressobj, []

    def counted(**options):
        started.append(options)
        return unpack(**options)

    monkeypatch.setattr(table_files, "PARSED_AT_ONCE", at_once)
    monkeypatch.setattr(zlib, "decompressobj", counted)
    path = shared_path(tmp_path, "news_headline", file)
    assert list(read_queries(path, file.sha256)) == queries
    assert len(started) == times
    with pytest.raises(ValueError, match="was changed after the run"):
        list(read_queries(path, "0" * 64))
