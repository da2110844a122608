"""The builder, on a made-up source."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import build_bundled_data as builder
from scripts import choose_authors
from scripts.source_texts import PAPERS, POSTS, read_source
from scripts.user_rows import find_leaks, read_users, records, write_users

TASKS = ("news_headline", "topic_writing", "scholarly_title", "abstract_generation")
SPLITS = ("test", "dev", "train")


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose_authors, "ACL_TEST_AUTHORS", 1)
        patch.setattr(choose_authors, "ACL_DEV_AUTHORS", 1)
        patch.setattr(choose_authors, "ACL_SPARE_AUTHORS", 0)
        patch.setattr(choose_authors, "POST_DEV_AUTHORS", 2)
        yield


@pytest.fixture(scope="module")
def built(source: Path, small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("data")
    builder.main([str(source), "--output", str(output)])
    return output


def sizes(path: Path) -> dict[str, tuple[int, int]]:
    return {u["id"]: (len(u["history"]), len(u["queries"])) for u in read_users(path)}


@pytest.mark.parametrize("task", TASKS)
def test_builds_a_split_without_leaks(built: Path, task: str) -> None:
    test, dev, train = (read_users(built / task / f"{name}.jsonl") for name in SPLITS)
    assert test and dev and train
    assert find_leaks(task, test, dev, train) == []


def test_authors_with_nine_dated_posts_are_tested_or_tuned_on(built: Path) -> None:
    folder = built / "news_headline"
    tested, tuned = sizes(folder / "test.jsonl"), sizes(folder / "dev.jsonl")
    assert tested | tuned == {
        "Ann Test": (7, 4),  # of twelve posts one has no date
        "Bob Test": (8, 4),
        "eve": (8, 4),
        "Cleo Blog": (24, 8),
        "Finn Blog": (7, 2),
    }
    assert len(tuned) == 2 and not {*tested} & {*tuned}


def test_an_author_on_whom_was_tuned_before_is_never_tested(monkeypatch: Any) -> None:
    names = [f"author {number}" for number in range(12)]
    for name in names:
        monkeypatch.setattr(choose_authors, "TUNED_BEFORE", frozenset({name, "someone else"}))
        drawn = choose_authors._one_of_every_few(names, 4)
        assert name in drawn and len(drawn) == 4


def test_all_others_train_but_those_who_may_be_a_tested_author(built: Path) -> None:
    train = sizes(built / "news_headline" / "train.jsonl")
    expected = {f"Other Author{number}": (0, 2) for number in range(8)}
    assert train == expected | {"Dan Few": (0, 5), "Gus Blog": (0, 8)}  # not Eve Other


def test_every_post_is_credited(built: Path) -> None:
    head, *lines = (built / "POSTS.tsv").read_text(encoding="utf-8").splitlines()
    assert head == "id\tauthor\ttitle\tsite\turl\tlicence"
    posts = {line.split("\t")[0]: line.split("\t") for line in lines}
    users = [u for name in SPLITS for u in read_users(built / "news_headline" / f"{name}.jsonl")]
    assert {*posts} == {record["id"] for user in users for record in records(user)}
    row = posts["blog-048"]
    assert row[1:2] + row[3:] == ["Finn Blog", "site", "https://blog.example/48", "CC-BY-4.0"]
    assert posts["post-012"][3:] == ["blog", "", builder.GOV_LICENCE]


def test_the_sources_digests_are_written(built: Path, source: Path) -> None:
    lines = (built / "SOURCES.sha256").read_text(encoding="utf-8").splitlines()
    found = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert found == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in source.iterdir()
    }


def test_last_authors_with_one_likely_person_are_tested(built: Path) -> None:
    titles, abstracts = built / "scholarly_title", built / "abstract_generation"
    assert sizes(titles / "test.jsonl") == {"Jane Q. Senior": (16, 8)}
    assert sizes(titles / "dev.jsonl") == {"Kim Q. Tuned": (16, 8)}
    assert sizes(abstracts / "test.jsonl") == {"Jane Q. Senior": (16, 4)}
    (asked,) = read_users(titles / "test.jsonl")
    (newest,) = read_users(abstracts / "test.jsonl")
    ids = [[record["id"] for record in user["queries"]] for user in (asked, newest)]
    assert ids[0][-4:] == ids[1]


def test_a_paper_of_a_test_user_trains_nothing(built: Path, source: Path) -> None:
    shared = read_source(source, PAPERS)[-1]
    assert "Jane Q. Senior" in shared["authors"][:-1]
    train = [
        user
        for task in ("scholarly_title", "abstract_generation")
        for user in read_users(built / task / "train.jsonl")
    ]
    assert shared["authors"][-1] in {user["id"] for user in train}
    assert shared["id"] not in {record["id"] for user in train for record in records(user)}


def test_a_leak_stops_the_builder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {"id": "1", "date": "2020", "fields": {"text": "x"}, "target": "y"}
    test = [
        {
            "id": "a",
            "history": [{**record, "id": "0", "fields": {"text": "z"}}],
            "queries": [record],
        }
    ]
    train = [{"id": "b", "history": [], "queries": [record]}]
    with pytest.raises(SystemExit) as caught:
        write_users(tmp_path / "news_headline", test, [], train, {})
    assert caught.value.code == 2
    assert "news_headline: test queries in training records" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_a_paper_of_two_users_stops_the_builder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    papers = [{"id": name, "authors": ["Ann", who]} for name, who in (("1", "Ann"), ("2", "Bob"))]
    split = choose_authors.Split({"Ann": ([], papers[:1])}, {}, {"Bob": papers[1:]})
    with pytest.raises(SystemExit) as caught:
        builder.write_credits(tmp_path / "CREDITS.tsv", split)
    assert caught.value.code == 2
    assert "'Ann'" in capsys.readouterr().err


def test_builds_the_same_bytes_again(
    built: Path, source: Path, small: None, tmp_path: Path
) -> None:
    builder.main([str(source), "--output", str(tmp_path)])
    files = [path.relative_to(built) for path in built.rglob("*") if path.is_file()]
    assert len(files) == 19
    assert all((built / name).read_bytes() == (tmp_path / name).read_bytes() for name in files)


def test_a_missing_source_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        builder.main([str(tmp_path), "--output", str(tmp_path / "out")])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert POSTS in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_not_gzip_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / POSTS).write_text("{}")
    with pytest.raises(SystemExit) as caught:
        builder.main([str(tmp_path)])
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
