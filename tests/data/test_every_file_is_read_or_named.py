"""No file of a source is passed over in silence: it is read, or one line says what to do."""

import gzip
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from tests.data.made_files import (
    check_refused,
    news_profile,
    news_question,
    oppu_user,
    read,
    topic_row,
    write_lamp,
)

Spoil = Callable[[Path], object]


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def renamed(name: str) -> Spoil:
    return lambda path: path.rename(path.with_name(name.format(path.name)))


def in_capitals(path: Path) -> None:
    path.rename(path.with_name(path.name.upper()))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def bound_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as made, pytest.MonkeyPatch.context() as patched:
        patched.chdir(path.parent)  # the name of a socket may have 108 characters at most
        made.bind(path.name)


SPOILED: list[tuple[Spoil, str]] = [
    (dangling, "is a link to 'nowhere', which is not there; correct it or download the file"),
    (in_capitals, "is not read under this name; unpack it or rename it to"),
    (renamed("{}.zip"), "is not read under this name; unpack it or rename it to"),
    (pipe, "is a pipe; give a file"),
    (device, "is a device; give a file"),
    (folder, "is a folder; give a file"),
    (bound_socket, "is a socket; give a file"),
]


def pack(path: Path) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def lamp_folder(place: Path) -> Path:
    for split in ("train", "dev"):
        write_lamp(place, split, [news_question(split, news_profile(split, 2), user_id=split)])
    return place


def oppu_folder(place: Path) -> Path:
    place.mkdir(exist_ok=True)
    users = [oppu_user(1, 2)]
    golds = [{"id": q["id"], "output": q["gold"]} for q in users[0]["query"]]
    for name, content in {
        "user_top_100_history.json": users,
        "user_others.json": [oppu_user(8, 1)],
        "user_top_100_history_label.json": {"task": "LaMP_4", "golds": golds},
        "profile_user_100.json": [{"id": 1, "output": "likes short titles"}],
    }.items():
        (place / name).write_text(json.dumps(content))
    return place


def own_folder(place: Path) -> Path:
    def person(name: str) -> dict[str, Any]:
        entry = {"id": f"{name}1", "fields": {"text": f"text of {name}"}, "target": "t"}
        return {"id": name, "history": [entry], "queries": [entry | {"fields": {"text": "asked"}}]}

    place.mkdir(exist_ok=True)
    (place / "dataset.json").write_text('{"task": "news_headline"}')
    for name in ("test", "dev", "train"):
        (place / f"{name}.jsonl").write_text(json.dumps(person(name)))
    return place


FILES = [
    ("lamp", lamp_folder, "train_questions.json"),
    ("lamp", lamp_folder, "dev_outputs.json"),
    ("oppu", oppu_folder, "user_top_100_history.json"),
    ("oppu", oppu_folder, "user_others.json"),
    ("oppu", oppu_folder, "user_top_100_history_label.json"),
    ("oppu", oppu_folder, "profile_user_100.json"),
    ("lampbench", own_folder, "dataset.json"),
    ("lampbench", own_folder, "test.jsonl"),
    ("lampbench", own_folder, "train.jsonl"),
]


@pytest.mark.parametrize(("kind", "make", "name"), FILES)
def test_a_packed_file_is_read(
    news: Task, tmp_path: Path, kind: str, make: Callable[[Path], Path], name: str
) -> None:
    place = make(tmp_path / "data")
    whole = read(news, f"{kind}:{place}", users=1)
    pack(place / name)
    assert read(news, f"{kind}:{place}", users=1) == whole
    assert load_dataset(news, str(place), DataOptions(users=1)).fingerprint == whole.fingerprint
    (place / name).write_text("[]")
    check_refused(news, f"{kind}:{place}", f"{name}: is there with and without .gz; remove one")


@pytest.mark.parametrize(("kind", "make", "name"), FILES)
@pytest.mark.parametrize(("spoil", "message"), SPOILED, ids=[one.__name__ for one, _ in SPOILED])
def test_a_file_that_cannot_be_read_is_named(
    news: Task, tmp_path: Path, kind: str, make: Callable[[Path], Path], name: str,
    spoil: Spoil, message: str,
) -> None:  # fmt: skip
    place = make(tmp_path / "data")
    spoil(place / name)
    check_refused(news, f"{kind}:{place}", f"{place}/", message, users=1)


def test_a_split_without_questions_or_twice_is_named(news: Task, tmp_path: Path) -> None:
    place = lamp_folder(tmp_path)
    questions = (place / "train_questions.json").read_bytes()
    (place / "train_questions.json").unlink()
    check_refused(
        news, f"lamp:{place}", f"{place}/train_outputs.json: train_questions.json is missing",
        "download it too, or remove the outputs",
    )  # fmt: skip
    (place / "train").mkdir()
    (place / "train" / "train_questions.json").write_bytes(questions)
    (place / "train_questions.json").write_bytes(questions)
    check_refused(news, f"lamp:{place}", "split train is also in", "remove one of them")


@pytest.mark.parametrize("kept", ["train", "dev"])
def test_a_split_that_is_not_there_is_noted(news: Task, tmp_path: Path, kept: str) -> None:
    people = [news_question(n, news_profile(n, 2), user_id=n) for n in range(2)]
    data = f"lamp:{write_lamp(tmp_path, kept, people)}"
    absent = {"train": "dev", "dev": "train"}[kept]
    note = f"not in the folder, not read: {absent}_questions.json"
    assert note in read(news, data, users=1).notes
    assert note not in read(news, data, users=1, splits=(kept,)).notes


@pytest.mark.parametrize("name", ["Train", "DEV"])
def test_a_folder_of_a_split_in_another_case_is_named(
    news: Task, tmp_path: Path, name: str
) -> None:
    for split in ("train", "dev"):
        place = tmp_path / (name if name.lower() == split else split)
        write_lamp(place, split, [news_question(split, news_profile(split, 2))])
    check_refused(news, f"lamp:{tmp_path}", f"/{name}: is not read under this name; rename it to")


ROWS = {split: [topic_row(f"t{n}", at, 2) for n in range(2)]
        for at, split in enumerate(("train", "val", "test"))}  # fmt: skip


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    place = tmp_path / "topic_writing_user"
    place.mkdir()
    for split, listed in ROWS.items():
        (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in listed))
    return place


def test_longlamp_files_are_read_packed_and_in_capitals(topic: Task, rows: Path) -> None:
    whole = read(topic, f"longlamp:{rows}", users=1)
    pack(rows / "train.jsonl")
    in_capitals(rows / "val.jsonl")
    found = read(topic, f"longlamp:{rows}", users=1)
    assert found == whole and not any("not read" in note for note in found.notes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        *(case for case in SPOILED if case[0] not in (in_capitals, SPOILED[2][0])),
        (renamed("{}.zip"), "train.jsonl.zip: is not read in this form; convert it to"),
        (renamed("train.csv"), "train.csv: is not read in this form; convert it to .parquet"),
    ],
)
def test_a_longlamp_file_that_cannot_be_read_is_named(
    topic: Task, rows: Path, spoil: Spoil, message: str
) -> None:
    spoil(rows / "train.jsonl")
    check_refused(topic, f"longlamp:{rows}", f"{rows}/train", message, users=1)


def test_a_longlamp_split_that_is_not_there_is_noted(topic: Task, rows: Path) -> None:
    (rows / "val.jsonl").unlink()
    assert (
        "not in topic_writing_user, not read: dev" in read(topic, f"longlamp:{rows}", users=1).notes
    )


def test_user_ids_on_some_questions_are_refused(news: Task, tmp_path: Path) -> None:
    place = lamp_folder(tmp_path)
    other = [news_question("q", news_profile("dev", 2)), news_question("r", [], user_id=None)]
    write_lamp(place, "dev", other)
    check_refused(
        news, f"lamp:{place}",
        f"{place}/dev_questions.json: record 1 (id q): has no user_id, and "
        f"{place}/train_questions.json: record 1 (id train) has one: a user of both would count "
        "as two people; give every question of all splits its user_id, or none", users=1,
    )  # fmt: skip
    write_lamp(place, "train", [news_question("s", news_profile("t", 2))])
    assert len(read(news, f"lamp:{place}", users=1).train_users) == 2


def test_oppu_users_named_by_two_keys_are_refused(news: Task, tmp_path: Path) -> None:
    place = oppu_folder(tmp_path / "data")
    users = [oppu_user(8, 1), oppu_user(9, 1, key="user_name")]
    (place / "user_others.json").write_text(json.dumps(users))
    check_refused(
        news, f"oppu:{place}", "user_others.json: record 2: has user_name, where the users before "
        "have user_id; name all users by the same key",
    )  # fmt: skip
