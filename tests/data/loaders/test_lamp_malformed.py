"""LaMP's official files, malformed: one line with the file, the record and how to fix it."""

import codecs
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from tests.data import made_files
from tests.data.made_files import news_profile, news_question, write_lamp

Change = Callable[[Any], object]


def check_refused(task: Task, folder: Path, *patterns: str, **options: object) -> None:
    made_files.check_refused(task, f"lamp:{folder}", *patterns, **{"users": 1, **options})


def edit(path: Path, change: Change) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_missing_folder_and_files(news: Task, tmp_path: Path) -> None:
    check_refused(news, tmp_path / "none", "none: no such folder; correct --data lamp:DIR")
    check_refused(news, tmp_path, "no questions of LaMP_4", "give the folder that has them")


def test_missing_outputs(news: Task, lamp: Path) -> None:
    (lamp / "dev_outputs.json").unlink()
    check_refused(news, lamp, "dev_questions.json: dev_outputs.json is missing", "download it too")


@pytest.mark.parametrize("name", ["train_questions.json", "dev_outputs.json"])
def test_html_page_instead_of_json(news: Task, lamp: Path, name: str) -> None:
    (lamp / name).write_text("\n<!DOCTYPE html><html>Not found</html>")
    check_refused(news, lamp, f"{name}: is an HTML page", "download it again")


@pytest.mark.parametrize("name", ["train_questions.json", "dev_outputs.json"])
def test_json_lines_instead_of_a_list(news: Task, lamp: Path, name: str) -> None:
    content = json.loads((lamp / name).read_text())
    rows = content if isinstance(content, list) else content["golds"]
    (lamp / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    check_refused(
        news, lamp, f"{name}: has one JSON object per line; put them into one list, [{{...}}, {{"
    )


@pytest.mark.parametrize("name", ["train_questions.json", "dev_outputs.json"])
def test_gzip_is_read_whatever_the_name(news: Task, lamp: Path, name: str) -> None:
    whole = load_dataset(news, f"lamp:{lamp}", DataOptions(users=1))
    packed = gzip.compress((lamp / name).read_bytes())
    (lamp / name).write_bytes(packed)
    assert load_dataset(news, f"lamp:{lamp}", DataOptions(users=1)) == whole
    (lamp / name).write_bytes(packed[:-9])
    check_refused(news, lamp, f"{name}: cannot be unpacked", "download it again")


@pytest.mark.parametrize("name", ["train_questions.json", "dev_outputs.json"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
     (b"", "utf-16-le"), (b"", "utf-16-be")],
)  # fmt: skip
def test_utf16(news: Task, lamp: Path, name: str, mark: bytes, encoding: str) -> None:
    (lamp / name).write_bytes(mark + (lamp / name).read_text().encode(encoding))
    check_refused(news, lamp, f"{name}: is UTF-16, not UTF-8; convert it (iconv")


@pytest.mark.parametrize(
    ("raw", "pattern"),
    [
        (b"", "is empty; download"),
        (b"[]", "has no records (an empty list)"),
        (b'{"task": "LaMP_4"}', 'has no records (an object without a list "golds")'),
        (b"PK\x03\x04", "is a zip archive"),
        (b"a,b\n1,2", "is not JSON in UTF-8 (it begins with 'a,b\\n1,2')"),
        (b'[{"id": 1, "input"', "malformed JSON after record 0"),
        (b'[{"id": "\xff"}]', "malformed JSON after record 0"),
        (b'{"golds": [{"id": 1', "malformed JSON after record 0"),
        (b"[3]", "record 1: must be a JSON object, not a number"),
    ],
)
def test_no_list_of_questions(news: Task, lamp: Path, raw: bytes, pattern: str) -> None:
    (lamp / "train_questions.json").write_bytes(raw)
    check_refused(news, lamp, "train_questions.json: ", pattern)


def test_malformed_at_some_record(news: Task, lamp: Path) -> None:
    path = lamp / "train_questions.json"
    path.write_text(path.read_text()[:-20])
    check_refused(news, lamp, "train_questions.json: malformed JSON after record 2")


def test_another_tasks_questions_and_outputs(
    task: Callable[[str], Task], news: Task, lamp: Path
) -> None:
    check_refused(
        task("scholarly_title"),
        lamp,
        "record 1 (id q1): input is not a prompt of scholarly_title (LaMP_5): it begins with",
    )
    edit(lamp / "train_questions.json", lambda v: v[1].update(input="Which tag is it?"))
    check_refused(
        news, lamp, "record 2 (id q2): input is not a prompt of news_headline", "Which tag"
    )
    edit(lamp / "train_outputs.json", lambda v: v.update(task="LaMP_5"))
    check_refused(news, lamp, "train_outputs.json: has references of 'LaMP_5', not of LaMP_4")


def test_another_tasks_profile(news: Task, lamp: Path) -> None:
    edit(lamp / "dev_questions.json", lambda v: v[1]["profile"][3].pop("text"))
    check_refused(news, lamp, "record 2 (id q5): profile entry 4: has no 'text'")


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda v: v[2].update(id="q1"), "query id 'q1' is used twice; give each its own"),
        (
            lambda v: v[1].pop("id"),
            "record 2: id is missing; add a unique one (a string or a whole number",
        ),
        (lambda v: v[1].update(id=" "), "id is empty; give each entry its own"),
        (lambda v: v[1].update(id=1.5), "id must be a string or a whole number, not a number"),
        (lambda v: v[1].pop("input"), "record 2 (id q2): input is missing; add the text"),
        (lambda v: v[1].update(input=None), "record 2 (id q2): input is missing; add the text"),
        (
            lambda v: v[1].pop("profile"),
            "record 2 (id q2): profile is missing; add it as a list ([] if there is none)",
        ),
        (lambda v: v[1].update(profile="x"), "profile must be a list, not text; write it as [...]"),
        (
            lambda v: v[1].update(profile={"id": [1, 2], "text": ["a"]}),
            "the columns of profile have different lengths",
        ),
        (
            lambda v: v[1].update(input={"a": 1}),
            "record 2 (id q2): input must be text, not an object; write it as a string",
        ),
        (lambda v: v[1]["profile"][0].update(text=["a"]), "profile entry 1: text must be text"),
        (lambda v: v[1]["profile"][0].update(id="b1"), "two records of the profile have the id"),
        (lambda v: v[1]["profile"].append(7), "profile entry 5: must be a JSON object"),
        (lambda v: v[1]["profile"][0].update(title="a\0b"), "title contains NUL (U+0000)"),
        (lambda v: v[1]["profile"][0].update(title="a\ud800b"), "lone surrogate"),
        (lambda v: v.append({**v[0], "id": "q9"}), "has no reference for query 'q9'"),
        (lambda v: v.pop(), "has a reference for query 'q3', which is not in train_questions.json"),
    ],
)
def test_bad_questions(news: Task, lamp: Path, change: Change, pattern: str) -> None:
    edit(lamp / "train_questions.json", change)
    check_refused(news, lamp, "train_", pattern)


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda g: g.append(g[0]), "record 4 (id q1): a second reference for query 'q1'"),
        (lambda g: g[1].pop("output"), "record 2 (id q2): output is missing; add the reference"),
        (lambda g: g[1].update(output="\udfff"), "lone surrogate"),
    ],
)
def test_bad_outputs(news: Task, lamp: Path, change: Change, pattern: str) -> None:
    edit(lamp / "train_outputs.json", lambda value: change(value["golds"]))
    check_refused(news, lamp, "train_outputs.json: ", pattern)


def test_lone_surrogate_is_told_from_pairs_and_backslashes(news: Task, lamp: Path) -> None:
    def put(text: str) -> None:
        edit(lamp / "dev_questions.json", lambda v: v[1]["profile"][0].update(title=text))

    put("an emoji \N{GRINNING FACE} and a written-out \\ud83d")
    data = load_dataset(news, f"lamp:{lamp}", DataOptions(users=1))
    assert any(
        "\N{GRINNING FACE} and a written-out \\ud83d" in record.target
        for record in data.test_users[0].history
    )
    put("a written-out \\ud83d\ude00")  # and then half a character
    check_refused(
        news, lamp, "dev_questions.json: record 2 (id q5): profile entry 1: title contains a lone "
        "surrogate (U+DE00, half a character) at character 20; remove it or write the whole",
    )  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    ["e\u0301 and \u00e9", "\u202eright to left\u202c", "\ufeffmark", "\u05e9\u05dc\u05d5\u05dd"],
)
def test_odd_but_valid_text_is_kept_as_it_is(news: Task, lamp: Path, odd: str) -> None:
    edit(lamp / "dev_questions.json", lambda v: v[1]["profile"][0].update(title=odd))
    data = load_dataset(news, f"lamp:{lamp}", DataOptions(users=1))
    assert odd in [record.target for record in data.test_users[0].history]


def test_ids_that_look_alike_are_different_users(news: Task, tmp_path: Path) -> None:
    names = ["caf\u00e9", "cafe\u0301"]
    users = [news_question(n, news_profile(n, 2), user_id=name) for n, name in enumerate(names)]
    folder = write_lamp(tmp_path, "train", users)
    data = load_dataset(news, f"lamp:{folder}", DataOptions(users=1))
    assert {data.test_users[0].id, data.train_users[0].id} == set(names)


def test_byte_order_mark_is_ignored(news: Task, lamp: Path) -> None:
    for path in lamp.iterdir():
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert load_dataset(news, f"lamp:{lamp}", DataOptions(users=1)).test_users[0].id == "d"


def test_two_megabyte_fields_are_read_whole(news: Task, lamp: Path) -> None:
    huge = "word " * 400_000
    edit(lamp / "dev_questions.json", lambda v: v[1]["profile"][0].update(text=huge))
    edit(lamp / "train_questions.json", lambda v: v[0].update(input=v[0]["input"] + huge))
    data = load_dataset(news, f"lamp:{lamp}", DataOptions(users=1))
    assert max(len(r.fields["text"]) for r in data.test_users[0].history) == len(huge) - 1
    assert len(data.train_users[0].queries[0].fields["text"]) > 1_999_999


def test_too_few_users(news: Task, lamp: Path) -> None:
    check_refused(
        news, lamp, "none of 4 users has at least 9 history records; lower --min-history",
        min_history=9,
    )  # fmt: skip
    check_refused(
        news, lamp, "5 test users requested, but only 4 of 4 users have", "lower --users", users=5
    )
    check_refused(news, lamp, "leaves 0 to train", "lower --users", users=4)
