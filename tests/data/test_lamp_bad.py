"""LaMP's official files, malformed: one line that names the file, the record and the mend."""

import json

import pytest

from lampbench.data import DataOptions, load
from lampbench.util.errors import LampbenchError


def fails(task, folder, *patterns, **options):
    with pytest.raises(LampbenchError) as caught:
        load(task, f"lamp:{folder}", DataOptions(users=1, **options))
    message = str(caught.value)
    assert "\n" not in message
    for pattern in patterns:
        assert pattern in message


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_missing_folder_and_files(news, tmp_path):
    fails(news, tmp_path / "none", "none: no such folder")
    fails(news, tmp_path, "no user/time split of LaMP_4")


def test_missing_outputs(news, lamp):
    (lamp / "dev_outputs.json").unlink()
    fails(news, lamp, "dev_questions.json: dev_outputs.json is missing")


@pytest.mark.parametrize("name", ["train_questions.json", "dev_outputs.json"])
def test_html_page_instead_of_json(news, lamp, name):
    (lamp / name).write_text("\n<!DOCTYPE html><html>Not found</html>")
    fails(news, lamp, f"{name}: is an HTML page", "download it again")


@pytest.mark.parametrize(
    ("raw", "pattern"),
    [
        (b"", "is empty"),
        (b"[]", "holds no records"),
        (b'{"task": "LaMP_4"}', "holds no records"),
        (b"PK\x03\x04", "is not JSON"),
        (b'[{"id": 1, "input"', "malformed JSON after record 0"),
        (b'[{"id": "\xff"}]', "malformed JSON after record 0"),
        (b"[3]", "record 1: must be an object"),
    ],
)
def test_no_list_of_questions(news, lamp, raw, pattern):
    (lamp / "train_questions.json").write_bytes(raw)
    fails(news, lamp, "train_questions.json: ", pattern)


def test_malformed_at_some_record(news, lamp):
    path = lamp / "train_questions.json"
    path.write_text(path.read_text()[:-20])
    fails(news, lamp, "train_questions.json: malformed JSON after record 2")


def test_another_tasks_questions_and_outputs(task, news, lamp):
    fails(task("scholarly_title"), lamp, "train_outputs.json: holds LaMP_4, not LaMP_5")
    edit(lamp / "train_questions.json", lambda v: v[1].update(input="Which tag is it?"))
    fails(news, lamp, "record 2 (id q2): the input is not that of news_headline", "Which tag")


def test_another_tasks_profile(news, lamp):
    edit(lamp / "dev_questions.json", lambda v: v[1]["profile"][3].pop("text"))
    fails(news, lamp, "record 2 (id q5): profile entry 4: has no 'text'")


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda v: v[2].update(id="q1"), "query id 'q1' stands twice"),
        (
            lambda v: v[1].pop("id"),
            "record 2: id must be a string or a whole number, it is missing",
        ),
        (lambda v: v[1].update(id=" "), "id is empty"),
        (lambda v: v[1].update(id=1.5), "id must be a string or a whole number"),
        (lambda v: v[1].pop("profile"), "record 2 (id q2): profile must be a list, it is missing"),
        (lambda v: v[1].update(input={"a": 1}), "record 2 (id q2): input must be text"),
        (lambda v: v[1]["profile"][0].update(text=["a"]), "profile entry 1: text must be text"),
        (lambda v: v[1]["profile"][0].update(id="b1"), "two records of the profile have the id"),
        (lambda v: v[1]["profile"].append(7), "profile entry 5: must be an object"),
        (lambda v: v[1]["profile"][0].update(title="a\0b"), "title holds NUL"),
        (lambda v: v[1]["profile"][0].update(title="a\ud800b"), "lone surrogate"),
        (lambda v: v.append({**v[0], "id": "q9"}), "has no reference for query 'q9'"),
        (lambda v: v.pop(), "a reference for query 'q3', which train_questions.json"),
    ],
)
def test_bad_questions(news, lamp, change, pattern):
    edit(lamp / "train_questions.json", change)
    fails(news, lamp, "train_", pattern)


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda g: g.append(g[0]), "record 4 (id q1): a second reference for query 'q1'"),
        (lambda g: g[1].pop("output"), "record 2 (id q2): has no 'output'"),
        (lambda g: g[1].update(output="\udfff"), "lone surrogate"),
    ],
)
def test_bad_outputs(news, lamp, change, pattern):
    edit(lamp / "train_outputs.json", lambda value: change(value["golds"]))
    fails(news, lamp, "train_outputs.json: ", pattern)


def test_lone_surrogate_is_told_from_pairs_and_backslashes(news, lamp):
    def put(text):
        edit(lamp / "dev_questions.json", lambda v: v[1]["profile"][0].update(title=text))

    put("an emoji \N{GRINNING FACE} and a written-out \\ud83d")
    data = load(news, f"lamp:{lamp}", DataOptions(users=1))
    assert any("\N{GRINNING FACE} and a written-out \\ud83d" in r.target
               for r in data.test_users[0].history)  # fmt: skip
    put("a written-out \\ud83d\ude00")  # and then half a character
    fails(news, lamp, "\\ude00 is a lone surrogate")
    put("half an emoji \ud83d")
    raw = (lamp / "dev_questions.json").read_bytes()
    fails(news, lamp, f"dev_questions.json: byte {raw.index(b'ud83d') - 1}: ")


@pytest.mark.parametrize(
    "odd",
    ["e\u0301 and \u00e9", "\u202eright to left\u202c", "\ufeffmark", "\u05e9\u05dc\u05d5\u05dd"],
)
def test_odd_but_valid_text_is_kept_as_it_is(news, lamp, odd):
    edit(lamp / "dev_questions.json", lambda v: v[1]["profile"][0].update(title=odd))
    data = load(news, f"lamp:{lamp}", DataOptions(users=1))
    assert odd in [record.target for record in data.test_users[0].history]


def test_ids_that_look_alike_are_different_users(news, tmp_path, question, profile, write_lamp):
    names = ["caf\u00e9", "cafe\u0301"]
    users = [question(n, profile(str(n), 2), user_id=name) for n, name in enumerate(names)]
    data = load(news, f"lamp:{write_lamp(tmp_path, 'train', users)}", DataOptions(users=1))
    assert {data.test_users[0].id, data.train_users[0].id} == set(names)


def test_byte_order_mark_is_passed_over(news, lamp):
    for path in lamp.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(news, f"lamp:{lamp}", DataOptions(users=1)).test_users[0].id == "d"


def test_two_megabyte_fields_are_read_whole(news, lamp):
    huge = "word " * 400_000
    edit(lamp / "dev_questions.json", lambda v: v[1]["profile"][0].update(text=huge))
    edit(lamp / "train_questions.json", lambda v: v[0].update(input=v[0]["input"] + huge))
    data = load(news, f"lamp:{lamp}", DataOptions(users=1))
    assert max(len(r.fields["text"]) for r in data.test_users[0].history) == len(huge) - 1
    assert len(data.train_users[0].queries[0].fields["text"]) > 1_999_999


def test_too_few_users(news, lamp):
    fails(news, lamp, "none of 4 users has at least 9 history", min_history=9)
    with pytest.raises(LampbenchError, match=r"5 test users asked for, 4 of 4 users have"):
        load(news, f"lamp:{lamp}", DataOptions(users=5))
    with pytest.raises(LampbenchError, match="leave 0 to train"):
        load(news, f"lamp:{lamp}", DataOptions(users=4))
