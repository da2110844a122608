"""`lampbench data audit`: every kind of leak, planted once in data that has none."""

import gzip
import json

import pytest
from click.testing import CliRunner

import lampbench.bundled
from lampbench.cli.data import data
from lampbench.cli.main import main
from lampbench.data import corpus_sketch
from scripts.card import read_users


def words(tag, count=20):
    return " ".join(f"{tag}{number}" for number in range(count))


def record(name):
    return {"id": name, "date": None, "fields": {"text": words(name)}, "target": words(f"t{name}")}


def user(name, history, queries):
    return {
        "id": name,
        "history": [record(f"{name}h{number}") for number in range(history)],
        "queries": [record(f"{name}q{number}") for number in range(queries)],
    }


@pytest.fixture
def users():
    return {
        "test": [user("ann", 2, 1), user("bob", 2, 2)],
        "dev": [user("dan", 2, 1)],
        "train": [user("eve", 0, 2)],
    }


@pytest.fixture
def write(tmp_path):
    def write(users):
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        (folder / "dataset.json").write_text('{"task": "news_headline"}')
        for part, rows in users.items():
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{part}.jsonl").write_text(lines)
        return folder

    return write


def run(folder, *more):
    """Exit code, and what was found as {(what, where, by, is a leak)}, with all cases."""
    command = ["audit", "--task", "news_headline", "--data", str(folder), "--format", "json", *more]
    result = CliRunner().invoke(data, command)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    (dataset,) = json.loads(result.output)["datasets"]
    found = {
        (finding["what"], finding["where"], finding["by"], finding["leak"]): finding["cases"]
        for finding in dataset["findings"]
        if finding["cases"]
    }
    return result.exit_code, found


def test_clean_data_pass(users, write):
    assert run(write(users)) == (0, {})
    del users["dev"]
    (write(users) / "dev.jsonl").unlink()
    assert run(write(users)) == (0, {})


def copy(users, source, target, whole=True):
    """Let one record say what another says, in all or in 13 words of its target."""
    source, target = (users[part][who][kind][0] for part, who, kind in (source, target))
    if whole:
        target["fields"] = source["fields"]
        target["target"] = source["target"]
    else:
        target["target"] += " " + " ".join(source["target"].split()[3:16])


TEST_QUERY, DEV_QUERY = ("test", 0, "queries"), ("dev", 0, "queries")
OWN_HISTORY, OTHER_HISTORY = ("test", 0, "history"), ("test", 1, "history")
DEV_HISTORY, TRAINING = ("dev", 0, "history"), ("train", 0, "queries")
NAMES = {
    TEST_QUERY: "test queries",
    DEV_QUERY: "dev queries",
    OWN_HISTORY: "history of test users",
    OTHER_HISTORY: "history of test users",
    DEV_HISTORY: "history of dev users",
    TRAINING: "training records",
}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("source", "target", "leak"),
    [
        (TEST_QUERY, OWN_HISTORY, True),
        (TEST_QUERY, OTHER_HISTORY, True),
        (TEST_QUERY, DEV_HISTORY, True),
        (TEST_QUERY, DEV_QUERY, True),
        (TEST_QUERY, TRAINING, True),
        (DEV_QUERY, OTHER_HISTORY, True),
        (DEV_QUERY, DEV_HISTORY, True),
        (DEV_QUERY, TRAINING, True),
        (OWN_HISTORY, DEV_HISTORY, False),
        (OWN_HISTORY, TRAINING, False),
        (DEV_HISTORY, TRAINING, False),
    ],
)
def test_a_text_in_two_places(users, write, source, target, leak, whole):
    copy(users, source, target, whole)
    code, found = run(write(users))
    where = (NAMES[source], NAMES[target])
    kinds = {"id", "words"} if whole else {"words"}
    assert set(found) == {(*where, by, leak) for by in kinds}
    assert code == leak
    ((case,),) = [cases for (*_, by, _), cases in found.items() if by == "words"]
    # 13 of a text's 20 words are 1 of its 8 runs
    assert case["share"] == (1.0 if whole else 1 / 8)
    first = users[source[0]][source[1]][source[2]][0]
    assert case["words"] == " ".join(
        words(first["id"]).split()[:13] if whole else first["target"].split()[3:16]
    )


def test_a_record_of_two_users_of_one_side_is_reported(users, write):
    copy(users, OWN_HISTORY, OTHER_HISTORY)
    place = "history of test users"
    code, found = run(write(users))
    assert code == 0 and set(found) == {(place, place, "id", False)}


def test_one_user_may_say_a_thing_twice(users, write):
    users["test"][0]["history"][1]["fields"] = users["test"][0]["history"][0]["fields"]
    assert run(write(users)) == (0, {})


def test_a_user_on_two_sides(users, write):
    users["train"][0]["id"] = "ann"
    code, found = run(write(users))
    assert code == 1
    (case,) = found["users", "another side", "id", True]
    assert case["what"] == "user 'ann' (test)" and case["where"] == "user 'ann' (training)"


def test_a_name_in_two_spellings_is_reported(users, write):
    users["test"][0]["id"], users["train"][0]["id"] = "Ann-Marie Lee", "annmarielee"
    code, found = run(write(users))
    assert code == 0 and set(found) == {("users", "another side", "author", False)}
    users["test"][0]["id"], users["train"][0]["id"] = "1-2", "12"
    assert run(write(users)) == (0, {})


@pytest.mark.parametrize("place", ["data", "."])
def test_a_paper_that_another_test_user_wrote_too(users, write, tmp_path, place):
    folder = write(users)
    credits = tmp_path / place / "CREDITS.tsv"
    credits.write_text("id\tauthors\nbobh0\tXu; bob\neveq0\teve\n")
    assert run(folder) == (0, {})
    credits.write_text("id\tauthors\nbobh0\tann; bob\neveq0\tdan; eve\n")
    code, found = run(folder)
    assert code == 1
    (cases,) = found.values()
    assert [case["what"] for case in cases] == [
        "record 'bobh0' of test user 'bob'",
        "record 'eveq0' of training user 'eve'",
    ]


def test_short_texts_are_compared_whole(users, write):
    users["test"][0]["queries"][0]["target"] = "A title of five words!"
    users["train"][0]["queries"][0]["target"] = "a title of FIVE words"
    code, found = run(write(users))
    assert code == 1
    (case,) = found["test queries", "training records", "words", True]
    assert (case["share"], case["words"]) == (1.0, "a title of five words")
    for part in ("test", "train"):
        users[part][0]["queries"][0]["target"] = "Only four words here"
    assert run(write(users)) == (0, {})


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_copy_in_a_pretraining_text(users, write, tmp_path, name):
    def corpus(**copied):
        rows = [{"id": 1, "title": "One", "text": words("free")}, {"id": 2, **copied}]
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (tmp_path / name).write_bytes(gzip.compress(lines) if name.endswith("gz") else lines)
        return "--corpus", str(tmp_path / name)

    folder = write(users)
    assert run(folder, *corpus(text=words("other"))) == (0, {})
    code, found = run(folder, *corpus(abstract=f"So: {words('tannq0')}"))
    assert code == 1 and set(found) == {("test queries", "pre-training text", "words", True)}
    ((case,),) = found.values()
    assert (case["where"], case["share"]) == ("document '2'", 1.0)
    code, found = run(folder, *corpus(text=words("annh0")))
    assert code == 0
    assert set(found) == {("history of test users", "pre-training text", "words", False)}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.jsonl", b'{"id": 1, "text": "x"}\n{"id": 2}', "c.jsonl:2: document '2' has no text"),
        ("c.jsonl", b'{"text": "x"}', "c.jsonl:1: id must be a string"),
        ("c.jsonl.gz", b'{"id": 1, "text": "x"}', "c.jsonl.gz: cannot be unpacked"),
        ("c.jsonl", None, "c.jsonl: no such file"),
    ],
)
def test_a_bad_corpus_is_one_line(users, write, tmp_path, capsys, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    folder = write(users)
    with pytest.raises(SystemExit) as left:
        main(["data", "audit", "--task", "news_headline", "--data", str(folder), "--corpus",
              str(tmp_path / name)])  # fmt: skip
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("line", [b"paper without a tab", b"\xff\tA"])
def test_bad_credits_are_one_line(users, write, capsys, line):
    folder = write(users)
    (folder / "CREDITS.tsv").write_bytes(b"id\tauthors\n" + line)
    with pytest.raises(SystemExit) as left:
        main(["data", "audit", "--task", "news_headline", "--data", str(folder)])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert "CREDITS.tsv" in error and error.count("\n") == 1


def test_the_table_shows_the_worst_cases_first(users, write):
    for number in range(5):
        entry = record(f"x{number}")
        entry["target"] = " ".join(words("tannq0").split()[: 13 + number])
        users["train"][0]["queries"].append(entry)
        users["test"][1]["queries"].append(record(f"y{number}"))
        users["dev"][0]["history"].append(record(f"y{number}"))
    source = ["--task", "news_headline", "--data", str(write(users))]
    result = CliRunner().invoke(data, ["audit", *source])
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].endswith("2 test, 1 dev, 1 training users")
    at = lines.index("leak: test queries in training records (13 words): 1")
    assert lines[at + 1].startswith(
        "  query 'annq0' of test user 'ann' in record 'x4' of training user 'eve': 62% of a text"
    )
    at = lines.index("leak: test queries in history of dev users (same record): 5")
    assert lines[at + 4] == "  and 2 more; --format json lists all"
    assert lines[-1] == "leaks: news_headline 11"


def bundled(*more):
    command = ["audit", "--task", "review_writing", *more]
    result = CliRunner().invoke(data, command)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


@pytest.fixture
def held(tmp_path, monkeypatch):
    """Where the sketch of the bundled model's text is looked for."""
    monkeypatch.setattr(lampbench.bundled, "MODEL", tmp_path)
    return tmp_path / "corpus.npz"


def test_bundled_data_against_what_the_model_read(held):
    review = read_users(lampbench.bundled.DATA / "review_writing" / "test.jsonl")[0]["history"][0]
    corpus_sketch.save(corpus_sketch.make([("1", [words("free", 200)])]), held)
    code, shown = bundled()
    assert code == 0 and "no leak found" in shown.splitlines()[-1]
    corpus_sketch.save(corpus_sketch.make([("1", [review["target"]])]), held)
    code, shown = bundled()
    assert code == 1 and "leak: history of test users in pre-training text (13 words): 1" in shown
    corpus_sketch.save(corpus_sketch.make([(review["id"], [words("free", 200)])]), held)
    code, shown = bundled()
    assert code == 1 and f"in document '{review['id']}'" in shown


def test_bundled_data_without_a_sketch_fail(held):
    code, shown = bundled()
    assert code == 1
    assert "the bundled model has no corpus sketch: pre-training text was not checked" in shown
    assert shown.splitlines()[-1] == "no leak found, but not everything was checked"


def test_a_broken_sketch_is_one_line(held, capsys):
    held.write_text("nothing")
    with pytest.raises(SystemExit) as left:
        main(["data", "audit", "--task", "review_writing"])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert "corpus.npz: is no sketch" in error and error.count("\n") == 1
