"""Looking for runs in a folder: damaged ones are named and hide no other."""

import pytest

from lampbench.record.recorded_run import read_run
from lampbench.record.runs import load_runs
from lampbench.util.errors import LampbenchError
from tests.record.written import PREDICTIONS, repack, rewrite, shared, write


def test_nothing_recorded_is_no_problem(tmp_path):
    assert load_runs(tmp_path / "absent") == ([], [])
    (tmp_path / "task" / "model").mkdir(parents=True)
    (tmp_path / ".git" / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "README.md").write_text("notes")
    assert load_runs(tmp_path) == ([], [])


def edit(file, old, new):
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: repack(p / "predictions.json.gz", lambda t: t.replace(b"half", b"full")),
         "predictions.json.gz was changed"),
        (lambda p: repack(p / "scores.json.gz", lambda t: t.replace(b"0.3", b"0.9")),
         "scores.json.gz was changed"),
        (lambda p: (p / "scores.json.gz").unlink(), "scores.json.gz is missing"),
        (lambda p: (p / "manifest.json").unlink(), "half-written"),
        (lambda p: edit(p / "manifest.json", b'"format": 2', b'"format": 3'), "format 3"),
        (lambda p: edit(p / "manifest.json", b'"format": 2', b'"formal": 2'), "format null"),
        (lambda p: (p / "manifest.json").write_bytes(b"{"), "cannot be read"),
        (lambda p: (p / "manifest.json").write_bytes(b"\xff"), "cannot be read"),
        (lambda p: (p / "manifest.json").write_bytes(b"[" * 100_000), "cannot be read"),
        (lambda p: (p / "manifest.json").write_bytes(b"[]"), "not an object"),
        (lambda p: edit(p / "manifest.json", b'"seed": 0', b'"seed": NaN'), "NaN is not a finite"),
        (lambda p: edit(p / "manifest.json", b'"seed": 0', b'"seed": 1'), "manifest.json was"),
        (lambda p: edit(p / "manifest.json", b"0.3000", b"0.9000"), "manifest.json was changed"),
        (lambda p: edit(p / "manifest.json", b'"sha256": "', b'"sha257": "'), "was changed"),
        (rewrite(lambda m: m.update(seed="0")), "seed must be an integer, it is text"),
        (rewrite(lambda m: m.update(seed=True)), "seed must be an integer, it is true or false"),
        (rewrite(lambda m: m.pop("seed")), "seed is missing"),
        (rewrite(lambda m: m.update(seeds=1)), "seeds is no known field"),
        (rewrite(lambda m: m["dataset"].pop("synthetic")), "dataset.synthetic is missing"),
        (rewrite(lambda m: m.update(stages=[1])), "stages.0 must be an object"),
        (rewrite(lambda m: m.update(stages={})), "stages must be a list"),
        (rewrite(lambda m: m.update(failed_users=[])), "failed_users must be an object"),
        (rewrite(lambda m: m.update(failed_users={"u": 1})), "failed_users.u must be text"),
        (rewrite(lambda m: m["dataset"].update(test_users=None)), "dataset.test_users must be"),
        (rewrite(lambda m: m["files"].popitem()), "does not record the hashes"),
        (rewrite(lambda m: m["files"].update({"../x": "0"})), "does not record the hashes"),
        (rewrite(lambda m: m.update(method="b")), "belongs to"),
        (lambda p: p.rename(p.with_name("k2")), "belongs to news_headline/"),
        (lambda p: p.rename(p.parent.parent / "k1"), "belongs to news_headline/"),
    ],
)  # fmt: skip
def test_damaged_runs_are_named_and_left_out(tmp_path, damage, reason):
    sound = write(tmp_path, key="k0")
    path = write(tmp_path).path
    damage(path)
    runs, problems = load_runs(tmp_path)
    assert runs == [sound]
    (problem,) = problems
    assert reason in str(problem)
    assert "\n" not in str(problem)
    with pytest.raises(LampbenchError):
        read_run(problem.path)


@pytest.mark.parametrize("kind", ["queries", "histories"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "cannot be read"),
        (lambda file: file.write_bytes(b"{}"), "cannot be read"),
        (lambda file: repack(file, lambda text: text.replace(b"user", b"User")), "was changed"),
    ],
)
def test_runs_whose_data_files_are_damaged_are_left_out_until_it_is_recorded_again(
    tmp_path, kind, damage, reason
):
    one, two = (
        write(tmp_path, history={"r": "past"}),
        write(tmp_path, key="k2", history={"r": "past"}),
    )
    damage(shared(one.path, kind))
    runs, problems = load_runs(tmp_path)
    assert runs == []
    assert [problem.path for problem in problems] == [one.path, two.path]
    assert all(f"{kind}.json.gz {reason}" in str(problem) for problem in problems)
    write(tmp_path, key="k2", history={"r": "past"}, replace=True)
    assert load_runs(tmp_path) == ([one, two], [])


def test_other_compression_of_the_same_data_is_no_damage(tmp_path):
    """Another machine's zlib may give other bytes."""
    run = write(tmp_path)
    repack(shared(run.path, "queries"), lambda text: text)
    assert load_runs(tmp_path) == ([run], [])
    assert run.predictions == PREDICTIONS


def test_order_does_not_depend_on_the_file_system(tmp_path):
    for key in ("b", "a", "c"):
        write(tmp_path, key=key)
    assert [run.manifest.key for run in load_runs(tmp_path)[0]] == ["a", "b", "c"]
