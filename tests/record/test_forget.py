"""`lampbench forget`: a user is gone from results and cache, and all else is as it was."""

import gzip
import json
from dataclasses import replace

import pytest

from lampbench.cli.main import main
from lampbench.engine.checkpoint_file import sealed
from lampbench.execution.partial_work import partial_work
from lampbench.execution.runner import execute
from lampbench.record.manifest import LENDER
from lampbench.record.runs import load_runs
from lampbench.record.write import write_run
from lampbench.report.contents import arrange
from lampbench.scoring.aggregate import aggregate, counts
from lampbench.util.errors import short_repr
from tests.shared.fake_runs import Killed

USER = "../../mallory"


@pytest.fixture
def forget(capsys, tmp_path):
    def run(user=USER):
        capsys.readouterr()
        (tmp_path / "results").mkdir(exist_ok=True)
        with pytest.raises(SystemExit) as left:
            main(["forget", user, "--results", str(tmp_path / "results"),
                  "--cache-dir", str(tmp_path / "cache")])  # fmt: skip
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return run


def contents(folder):
    """Everything that the files below a folder say, unpacked, by path."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and ".locks" not in file.parts:
            data = file.read_bytes()
            found[file] = gzip.decompress(data) if file.suffix == ".gz" else data
    return found


def holders(folder, *words):
    return [
        file
        for file, content in contents(folder).items()
        if any(word.encode() in content for word in words)
    ]


@pytest.fixture
def runs(planner, tmp_path):
    for method in ("base", "cope", "pag"):
        execute(planner(method), "lampbench run", tmp_path / "results")
    return load_runs(tmp_path / "results")[0]


def test_the_user_is_nowhere_and_the_others_are_as_before(runs, forget, tmp_path):
    before = {run.manifest.method: (run.predictions, run.scores) for run in runs}
    assert holders(tmp_path / "results", USER, "of ../../mallory")
    code, out, err = forget()
    assert (code, err) == (0, "")
    assert not holders(tmp_path / "results", USER, "mallory")
    owners = [json.loads(file.read_text())["owner"]
              for file in (tmp_path / "cache").rglob("meta.json")]  # fmt: skip
    assert USER not in owners and "ann" in owners and None in owners
    after, problems = load_runs(tmp_path / "results")
    assert problems == [] and len(after) == len(runs)
    for run in after:
        rows, scores = before[run.manifest.method]
        assert run.predictions == [row for row in rows if row.user != USER]
        assert list(run.scores) == [row for row in scores if row["user"] != USER]
        assert run.manifest.scores == aggregate(run.scores)
        assert run.manifest.counts == counts(run.scores)
        data = run.manifest.dataset
        assert (data.test_users, data.queries, data.removed_users) == (2, 4, 1)
        assert set(run.histories) == {"ann", "bob"}
        assert f"removed: {run.path}: 1 queries, answers and scores; history" in out
    assert len(list((tmp_path / "results").rglob("*.queries.json.gz"))) == 1
    assert len(list((tmp_path / "results").rglob("*.histories.json.gz"))) == 1
    for kind in ("user_sft", "user_dpo", "negatives", "profile"):
        assert kind in out
    assert "artifacts that a whole task shares" in out
    assert "Not reached: exported predictions, report pages" in out


LONG = "a-very-long-name-" * 6


@pytest.mark.parametrize("user", ["carl", LONG])
@pytest.mark.parametrize("tested", [True, False])
def test_notes_and_reasons_name_the_user_no_more(user, tested, planner, dataset, forget, tmp_path):
    """A training user may be named too, by a note on the data."""
    note = f"users whose records are not in order: 1, first user {short_repr(user)}"
    groups = ("test_users", "train_users") if tested else ("train_users", "test_users")
    named, other = (getattr(dataset, group) for group in groups)
    data = replace(
        dataset,
        notes=(note, "another note"),
        **{groups[0]: (*named[:2], replace(named[2], id=user)), groups[1]: other},
    )
    plan = planner("base", data=data)
    plan.executor.failed_users["bob"] = f"user_sft: it needs {LENDER}{user}, who failed in user_sft"
    execute(plan, "lampbench run", tmp_path / "results")
    assert holders(tmp_path / "results", user[:40])
    assert forget(user)[0] == 0
    assert not holders(tmp_path / "results", user[:40])
    ((run,), _) = load_runs(tmp_path / "results")
    assert run.manifest.dataset.notes == ("another note",)
    assert run.manifest.dataset.removed_users == tested
    assert "it needs the data of a removed user, who" in run.manifest.failed_users["bob"]


def test_tables_say_that_users_were_removed(runs, forget, tmp_path):
    forget()
    board = arrange(load_runs(tmp_path / "results")[0]).board
    (column,) = board.columns()
    assert board.findings(column) == ["users removed on request: 1"]
    forget("bob")
    board = arrange(load_runs(tmp_path / "results")[0]).board
    assert board.findings(column) == ["users removed on request: 2"]


def test_twice_is_once_and_nobody_is_nobody(runs, forget, tmp_path):
    forget()
    before = contents(tmp_path / "results")
    for user in (USER, "nobody"):
        code, out, _ = forget(user)
        assert code == 0 and "removed:" not in out
        assert f"nothing of user {user!r}" in out
    assert contents(tmp_path / "results") == before


def test_runs_that_are_not_there_are_not_searched_and_it_is_said(call):
    """A folder that is named must be there; a machine that only worked for others has none."""
    code, out, err = call("forget", "ann", "--results", "nowhere")
    assert (code, out) == (2, "") and err.startswith("error: nowhere: no such folder")
    code, out, _ = call("forget", "ann")
    assert code == 0 and "results: no such folder; only .lampbench/cache was searched" in out


def test_what_a_killed_writer_left_of_a_file_is_removed(runs, forget, tmp_path):
    file = next((tmp_path / "results").rglob("*.queries.json.gz"))
    left = file.with_name(f".{file.name}.0123abcd")
    left.write_bytes(file.read_bytes())
    _, out, _ = forget()
    assert f"removed: {left}: a half-written file" in out
    assert not holders(tmp_path / "results", USER, "mallory")


def test_a_run_of_nobody_else_is_deleted(planner, dataset, forget, tmp_path):
    from dataclasses import replace

    alone = replace(dataset, test_users=(dataset.test_users[2],))
    execute(planner("base", data=alone), "lampbench run", tmp_path / "results")
    _, out, _ = forget()
    assert "the run, which had no other user" in out
    assert not holders(tmp_path / "results", "mallory")
    assert load_runs(tmp_path / "results") == ([], [])


def test_unfinished_work_of_the_user_is_removed(planner, engine, forget, tmp_path):
    engine.budget = 4
    with pytest.raises(Killed):
        execute(planner("base"), "lampbench run", tmp_path / "results")
    assert holders(tmp_path / "cache" / "partial", "mallory")
    others = len(list((tmp_path / "cache" / "partial").rglob("journal.jsonl")))
    _, out, _ = forget()
    assert "answers of an unfinished run" in out
    assert not holders(tmp_path / "cache" / "partial", "mallory")
    assert len(list((tmp_path / "cache" / "partial").rglob("journal.jsonl"))) == others - 1 > 0


def test_unfinished_samples_of_the_user_are_removed(planner, engine, forget, tmp_path):
    engine.budget = 6
    with pytest.raises(Killed):
        execute(planner("cope"), "lampbench run", tmp_path / "results")
    partial = tmp_path / "cache" / "partial"
    journals = {file: file.read_bytes() for file in partial.rglob("journal.jsonl")}
    mine = [file for file, content in journals.items() if b"mallory" in content]
    assert mine, "the test needs a journal of this user"
    _, out, _ = forget()
    assert "unfinished negatives" in out
    assert {file for file in journals if not file.exists()} == set(mine)


@pytest.fixture
def training(planner, engine, tmp_path):
    """The folders of trainings that a kill ended, each with a checkpoint, by owner."""

    def die(jobs, on_step):
        for job in jobs:
            job.scratch.mkdir(parents=True)
            (job.scratch / "checkpoint.pt").write_bytes(sealed("job", b"weights of mallory"))
        raise Killed

    engine.train = die
    with pytest.raises(Killed):
        execute(planner("tam"), "lampbench run", tmp_path / "results")
    del engine.train
    execute(planner("tam"), "lampbench run", tmp_path / "results")
    with pytest.raises(Killed):
        engine.train = die
        execute(planner("tam", seed=1), "lampbench run", tmp_path / "results")
    del engine.train
    make = planner("oppu")
    engine.train = die
    with pytest.raises(Killed):
        execute(make, "lampbench run", tmp_path / "results")
    found = list(partial_work(tmp_path / "cache"))
    return {work.owner.user: work.folder for work in found if work.owner is not None}


def test_a_checkpoint_says_whose_it_is_and_the_users_is_removed(training, forget, tmp_path):
    assert set(training) == {None, "ann", "bob", USER}
    code, out, _ = forget()
    assert code == 0
    assert f"removed: {training[USER]}: unfinished user_sft" in out
    assert {owner for owner, folder in training.items() if folder.exists()} == {None, "ann", "bob"}
    assert "1 unfinished trainings of a whole task" in out


def test_checkpoints_of_nobody_known_are_removed_and_it_is_said(training, forget, tmp_path):
    for owner in (None, "ann"):
        (training[owner] / "owner.json").unlink()
    (training["bob"] / "owner.json").write_text("[")
    _, out, _ = forget("nobody")
    for owner in (None, "ann", "bob"):
        assert not training[owner].exists()
        assert f"removed: {training[owner]}: unfinished work that does not say whose it is" in out
    assert training[USER].exists()


def test_what_a_damaged_run_holds_is_said(runs, forget, tmp_path):
    damaged = runs[0]
    (damaged.path / "scores.json.gz").write_bytes(b"")
    code, out, _ = forget()
    assert code == 0
    lines = [line for line in out.splitlines() if line.startswith("may still hold the user:")]
    assert any(str(damaged.path) in line and "scores.json.gz was changed" in line
               for line in lines)  # fmt: skip
    assert any("queries.json.gz: holds the user" in line for line in lines)


def test_a_killed_forgetting_is_finished_by_the_next(runs, forget, tmp_path, monkeypatch):
    from lampbench.record import forget as room

    calls = []

    def die(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise Killed
        return write_run(*arguments, **options)

    monkeypatch.setattr(room, "write_run", die)
    with pytest.raises(Killed):
        room.forget_in_results(tmp_path / "results", USER, print)
    monkeypatch.undo()
    forget()
    assert not holders(tmp_path / "results", "mallory")
    after, problems = load_runs(tmp_path / "results")
    assert problems == []
    assert {run.manifest.dataset.removed_users for run in after} == {1}
