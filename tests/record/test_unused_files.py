"""Files that no recorded run names any more."""

from lampbench.record.unused_files import remove_unused_files, shared_files


def test_what_a_run_names_is_kept_and_the_rest_is_removed(record, tmp_path):
    run = record("base")
    folder = tmp_path / "results" / "news_headline"
    named = set(shared_files(folder))
    extra = folder / f"{'0' * 16}.queries.json.gz"
    extra.write_bytes(b"")
    assert remove_unused_files(tmp_path / "results", "news_headline") == [extra]
    assert set(shared_files(folder)) == named
    (run.path / "manifest.json").write_text("damaged")
    assert set(remove_unused_files(tmp_path / "results", "news_headline")) == named


def test_the_manifest_of_a_run_that_was_put_aside_counts(record, tmp_path):
    run = record("base")
    run.path.rename(run.path.with_name(f".old-{run.path.name}-0a1b2c3d"))
    assert remove_unused_files(tmp_path / "results", "news_headline") == []


def test_a_task_without_runs(tmp_path):
    assert remove_unused_files(tmp_path / "results", "nothing") == []
