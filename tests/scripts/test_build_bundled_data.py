"""The builder, on a made-up source."""

from collections.abc import Iterator
from pathlib import Path

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


def test_authors_with_enough_posts_are_tested_and_tuned_on(built: Path) -> None:
    folder = built / "news_headline"
    assert sizes(folder / "test.jsonl") == {"Ann Test": (8, 4), "Bob Test": (7, 4)}
    assert sizes(folder / "dev.jsonl") == {"Dan Tuned": (5, 2)}


def test_half_of_the_other_authors_of_posts_train(built: Path) -> None:
    train = sizes(built / "news_headline" / "train.jsonl")
    assert len(train) == 4  # the posts of the other four are left for pre-training
    assert all(name.startswith("Other ") and size == (0, 2) for name, size in train.items())


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
    assert len(files) == 17
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
