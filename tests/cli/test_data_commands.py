"""`lampbench data`: statistics, import and audit."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import lampbench.bundled
from lampbench.cli.main import main
from lampbench.data import DataOptions, load_dataset
from lampbench.data.leaks.corpus_sketch import make_sketch, save_sketch
from lampbench.registry import Registry
from scripts.user_rows import read_users
from tests.data.leaks.made_users import Users, made_record, made_users, made_words, write_users
from tests.data.made_files import Entry, news_profile, news_question, write_lamp


class Done(NamedTuple):
    code: int
    out: str
    err: str


Lampbench = Callable[..., Done]


@pytest.fixture
def data(capsys: pytest.CaptureFixture[str]) -> Lampbench:
    """Run `lampbench data`."""

    def run(*arguments: object) -> Done:
        with pytest.raises(SystemExit) as left:
            main(["data", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Done(left.value.code, captured.out, captured.err)

    return run


def check_one_line(done: Done, *patterns: str) -> None:
    """Check that bad input ended the command with exit code 2 and one line."""
    assert done.code == 2 and done.err.count("\n") == 1
    for pattern in patterns:
        assert pattern in done.err


def test_statistics(data: Lampbench, lamp: Path) -> None:
    source = ["--data", f"lamp:{lamp}", "--users", "2"]
    printed = data("stats", "--task", "news_headline", *source).out
    assert "7.0 ± 1.0" in printed
    assert "split by user: train, dev" in printed
    assert "review_writing: " in data("stats", *source).out  # all tasks; the folder has one
    found = json.loads(data("stats", *source, "--format", "json").out)
    assert [row["task"] for row in found["datasets"]] == ["news_headline"]
    assert found["datasets"][0]["profile"] == {"mean": 7.0, "sd": 1.0, "count": 2}
    assert len(found["without_data"]) == 9
    options = ["--split", "train", "--users", "1", "--format", "json"]
    only = json.loads(data("stats", "--data", f"lamp:{lamp}", *options).out)
    assert only["datasets"][0]["train"] == 1


def test_statistics_of_a_task_that_is_not_there(data: Lampbench, lamp: Path) -> None:
    check_one_line(data("stats", "--task", "scholarly_title", "--data", f"lamp:{lamp}"), "LaMP_5")
    check_one_line(data("stats", "--data", lamp.parent), "no data of task")


def test_findings_of_the_loader_are_printed(data: Lampbench, lamp: Path) -> None:
    path = lamp / "train_questions.json"
    questions = json.loads(path.read_text())
    questions[1]["profile"] = [questions[1]["profile"][0]] * 2
    path.write_text(json.dumps(questions))
    printed = data("stats", "--task", "news_headline", "--data", f"lamp:{lamp}").out
    assert "repeated profile entries, one kept (all users): 1" in printed
    assert "2 of 4 users are tested" in printed


def test_import(data: Lampbench, lamp: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine"
    arguments = ["import", "--task", "news_headline", "--data", f"lamp:{lamp}", "--users", "2"]
    done = data(*arguments, "--output", output)
    assert done.code == 0
    assert f"--data lampbench:{output}" in done.out
    news = Registry().task("news_headline")
    assert len(load_dataset(news, f"lampbench:{output}", DataOptions()).test_users) == 2
    check_one_line(data(*arguments, "--output", output), "exists already")
    (lamp / "train_questions.json").write_text("[")
    check_one_line(data(*arguments, "--output", tmp_path / "other"), "malformed JSON")
    assert not (tmp_path / "other").exists()


def audit(data: Lampbench, folder: Path, *more: object) -> Done:
    return data("audit", "--task", "news_headline", "--data", folder, *more)


def test_audit_of_published_files(data: Lampbench, tmp_path: Path) -> None:
    """An article that two users of LaMP have: a leak if it is asked, else reported."""
    mine = news_profile("a", 6)
    twice = {**mine[0], "id": "elsewhere"}
    ask = "Generate a headline for the following article: "

    def question(name: str, user: str, profile: list[Entry], **extra: Any) -> Entry:
        return news_question(name, profile, user_id=user, **extra)

    train = [question("q1", "b", news_profile("b", 3), input=ask + mine[1]["text"])]
    train += [question("q2", "c", news_profile("c", 2), input=ask + "Asked text q4")]
    dev = [question("q4", "a", mine), question("q5", "d", [twice, *news_profile("d", 4)])]
    write_lamp(tmp_path / "lamp", "train", train)
    write_lamp(tmp_path / "lamp", "dev", dev)
    done = audit(data, tmp_path / "lamp", "--users", 2, "--format", "json")
    assert done.code == 1
    (found,) = json.loads(done.out)["datasets"]
    assert (found["leaks"], found["dev_users"]) == (1, 0)
    cases = {
        (f["what"], f["where"], f["leak"]): [case["what"] for case in f["cases"]]
        for f in found["findings"]
        if f["cases"]
    }
    assert cases == {
        ("test queries", "training records", True): ["query 'q4' of test user 'a'"],
        ("history of test users", "history of test users", False): [
            "record 'a0' of test user 'a'",
            "record 'elsewhere' of test user 'd'",
        ],
        ("history of test users", "training records", False): ["record 'a1' of test user 'a'"],
    }


@pytest.fixture
def users() -> Users:
    return made_users()


@pytest.fixture
def folder(users: Users, tmp_path: Path) -> Path:
    return write_users(users, tmp_path / "data")


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_audit_of_a_pretraining_text(
    data: Lampbench, folder: Path, tmp_path: Path, name: str
) -> None:
    def corpus(**copied: str) -> tuple[str, Path]:
        rows = [{"id": 1, "title": "One", "text": made_words("free")}, {"id": 2, **copied}]
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (tmp_path / name).write_bytes(gzip.compress(lines) if name.endswith("gz") else lines)
        return "--corpus", tmp_path / name

    assert audit(data, folder, *corpus(text=made_words("other"))).code == 0
    done = audit(data, folder, *corpus(abstract=f"So: {made_words('tannq0')}"))
    assert done.code == 1
    assert "in document '2': 100% of a text" in done.out


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.jsonl", b'{"id": 1, "text": "x"}\n{"id": 2}', "c.jsonl:2: document '2' has no text"),
        ("c.jsonl", b'{"text": "x"}', "c.jsonl:1: id is missing"),
        ("c.jsonl", gzip.compress(b"{}"), "c.jsonl:1: id is missing"),
        ("c.jsonl.gz", b"PK\x03\x04", "c.jsonl.gz: is a zip archive, not JSON; unpack it first"),
        ("c.jsonl.gz", gzip.compress(b"{}" * 99)[:-9], "c.jsonl.gz: cannot be unpacked"),
        ("c.jsonl", None, "c.jsonl: no such file"),
    ],
)
def test_a_bad_pretraining_text_is_one_line(
    data: Lampbench, folder: Path, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    check_one_line(audit(data, folder, "--corpus", tmp_path / name), said)


@pytest.mark.parametrize(
    ("line", "said"),
    [(b"paper without a tab", "CREDITS.tsv:2: must be an id, a tab and the authors; correct"),
     (b"\xff\tA", "CREDITS.tsv: is not UTF-8; save the file as UTF-8")],
)  # fmt: skip
def test_bad_credits_are_one_line(data: Lampbench, folder: Path, line: bytes, said: str) -> None:
    (folder / "CREDITS.tsv").write_bytes(b"id\tauthors\n" + line)
    check_one_line(audit(data, folder), said)


def test_the_table_shows_the_worst_cases_first(
    data: Lampbench, users: Users, tmp_path: Path
) -> None:
    for number in range(5):
        entry = made_record(f"x{number}")
        entry["target"] = " ".join(made_words("tannq0").split()[: 13 + number])
        users["train"][0]["queries"].append(entry)
        users["test"][1]["queries"].append(made_record(f"y{number}"))
        users["dev"][0]["history"].append(made_record(f"y{number}"))
    done = audit(data, write_users(users, tmp_path / "data"))
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0].endswith("2 test, 1 dev, 1 training users")
    at = lines.index("leak: test queries in training records (13 words): 1")
    assert lines[at + 1].startswith(
        "  query 'annq0' of test user 'ann' in record 'x4' of training user 'eve': 62% of a text"
    )
    at = lines.index("leak: test queries in history of dev users (same record): 5")
    assert lines[at + 4] == "  and 2 more; --format json lists all"
    assert lines[-1] == "leaks: news_headline 11"


@pytest.fixture
def sketch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is searched for the sketch of the bundled model's text."""
    monkeypatch.setattr(lampbench.bundled, "MODEL", tmp_path)
    return tmp_path / "corpus.npz"


def test_bundled_data_against_what_the_model_read(data: Lampbench, sketch: Path) -> None:
    review = read_users(lampbench.bundled.DATA / "review_writing" / "test.jsonl")[0]["history"][0]

    def audit_with(name: str, text: str) -> Done:
        save_sketch(make_sketch([(name, [text])]), sketch)
        return data("audit", "--task", "review_writing")

    done = audit_with("1", made_words("free", 200))
    assert done.code == 0 and done.out.splitlines()[-1] == "no leak found"
    done = audit_with("1", review["target"])
    assert done.code == 1
    assert "leak: history of test users in pre-training text (13 words): 1" in done.out
    done = audit_with(review["id"], made_words("free", 200))
    assert done.code == 1 and f"in document '{review['id']}'" in done.out


def test_bundled_data_without_a_sketch_fail(data: Lampbench, sketch: Path) -> None:
    done = data("audit", "--task", "review_writing")
    assert done.code == 1
    assert "pre-training text was not checked" in done.out
    assert done.out.splitlines()[-1] == "no leak found, but not everything was checked"


def test_a_broken_sketch_is_one_line(data: Lampbench, sketch: Path) -> None:
    sketch.write_text("nothing")
    check_one_line(data("audit", "--task", "review_writing"), "corpus.npz: is not a sketch")


def overwrite(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def ask_otherwise(folder: Path) -> None:
    file = folder / "train_questions.json"
    questions = json.loads(file.read_text())
    questions[0]["input"] = "Guess"
    file.write_text(json.dumps(questions))


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


@pytest.mark.parametrize("command", ["stats", "audit"])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (overwrite("train_questions.json", "["), "malformed JSON"),
        (overwrite("train_questions.json", "[7]"), "record 1"),
        (ask_otherwise, "is not a prompt of news_headline"),
        (lambda folder: (folder / "train_outputs.json").unlink(), "train_outputs.json is"),
        (empty, "no questions of LaMP_4"),
        (lambda folder: folder.rename(folder.with_name("lamp_4")), "rename it to LaMP_4"),
    ],
)
def test_all_tasks_are_those_with_data_and_damage_is_an_error(
    data: Lampbench,
    lamp: Path,
    tmp_path: Path,
    command: str,
    spoil: Callable[[Path], object],
    said: str,
) -> None:
    """A second task is sound: a source in which no task has data is an error anyway."""
    folder = tmp_path / "both"
    ask = "Generate a title for the following abstract of a paper: "
    papers = [
        {"id": str(n), "user_id": f"u{n}", "input": f"{ask}abstract {n}",
         "profile": [{"id": f"{n}-{i}", "title": f"title {n} {i}", "abstract": f"text {n} {i}"}
                     for i in range(3)]}
        for n in range(3)
    ]  # fmt: skip
    write_lamp(folder / "LaMP_5", "train", papers, task_id="LaMP_5")
    lamp.rename(folder / "LaMP_4")
    here = ("--data", f"lamp:{folder}", "--users", "2")
    assert data(command, *here).code == 0
    spoil(folder / "LaMP_4")
    check_one_line(data(command, *here), said)
    assert data(command, "--task", "scholarly_title", *here).code == 0


def test_a_folder_of_one_task_has_no_data_of_the_others(
    data: Lampbench, lamp: Path, users: Users, tmp_path: Path
) -> None:
    for source in (f"lamp:{lamp}", f"lampbench:{write_users(users, tmp_path / 'mine')}"):
        done = data("stats", "--data", source, "--format", "json")
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert [row["task"] for row in found["datasets"]] == ["news_headline"]
        assert len(found["without_data"]) == 9
