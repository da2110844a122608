"""What a killed writer leaves beside a run, and how it is put right."""

import pytest

from lampbench.record.leftovers import (
    REPLACED,
    TEMPORARY,
    leftovers,
    new_leftover,
    put_right,
    restore,
    run_of,
)


@pytest.fixture
def run(tmp_path):
    return tmp_path / "results" / "task" / "model" / "method" / "key-with-dashes"


def make(folder, content):
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(content)
    return folder


def test_a_leftover_knows_its_run(run):
    for prefix in (TEMPORARY, REPLACED):
        assert run_of(new_leftover(prefix, run)) == run
        assert run_of(run.with_name(f"{prefix}nodash")) is None
    assert run_of(run) is None
    assert len({new_leftover(TEMPORARY, run) for _ in range(50)}) == 50


def test_a_run_put_aside_comes_back_and_the_rest_goes(run):
    aside = make(new_leftover(REPLACED, run), "old")
    half = make(new_leftover(TEMPORARY, run), "half")
    other = make(new_leftover(TEMPORARY, run.with_name("another")), "another's")
    put_right(run)
    assert (run / "manifest.json").read_text() == "old"
    assert not aside.exists() and not half.exists() and other.exists()
    assert leftovers(run, REPLACED) == leftovers(run, TEMPORARY) == []


def test_a_run_in_its_place_is_not_replaced_by_an_older_one(run):
    make(run, "new")
    aside = make(new_leftover(REPLACED, run), "old")
    restore(run)
    assert (run / "manifest.json").read_text() == "new" and not aside.exists()


def test_what_was_put_aside_without_a_manifest_is_no_run(run):
    new_leftover(REPLACED, run).mkdir(parents=True)
    restore(run)
    assert not run.exists() and leftovers(run, REPLACED) == []


def test_nothing_there_is_nothing_to_do(run):
    put_right(run)
    assert not run.parent.exists()
