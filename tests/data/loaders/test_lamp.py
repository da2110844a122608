"""LaMP's official files: layouts, users, histories."""

import json
import tracemalloc
from pathlib import Path

import pytest

from lampbench.core.dataset import Dataset, Record
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.data.loaders.entry_parser import EntryParser
from tests.data import made_files
from tests.data.made_files import check_refused, news_profile, news_question, write_lamp


def read(task: Task, folder: Path, **options: object) -> Dataset:
    return made_files.read(task, f"lamp:{folder}", **options)


def test_longest_histories_are_tested_and_all_others_train(news: Task, lamp: Path) -> None:
    data = read(news, lamp, users=2)
    assert [(user.id, len(user.history)) for user in data.test_users] == [("d", 8), ("c", 6)]
    assert [user.id for user in data.train_users] == ["a", "b"]
    assert [q.id for user in data.train_users for q in user.queries] == ["q1", "q2", "q3"]
    query = data.test_users[0].queries[0]
    assert (query.id, query.fields, query.reference) == ("q5", {"text": "Asked text q5"}, "Gold q5")
    assert "lamp:" in data.source and "split by user: train, dev" in data.source
    assert not data.notes


def test_history_is_sorted_by_date_if_all_records_are_dated(news: Task, lamp: Path) -> None:
    records = read(news, lamp, users=1).test_users[0].history
    assert [record.id for record in records] == [f"d{n}" for n in reversed(range(8))]
    assert (records[0].fields, records[0].target, records[0].date) == (
        {"text": "Article 7 of d."},
        "Headline 7 of d",
        "2014-01-21",
    )


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_history_without_full_dates_keeps_the_order_of_the_file(
    news: Task, tmp_path: Path, date: str | None
) -> None:
    entries = news_profile("a", 3)
    entries[1]["date"] = date
    questions = [
        news_question(1, entries, user_id=1),
        news_question(2, news_profile("b", 1), user_id=2),
    ]
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    assert [record.id for record in data.test_users[0].history] == ["a0", "a1", "a2"]
    assert any("without a date" in note for note in data.notes)


def test_whole_year_dates_sort(news: Task, tmp_path: Path) -> None:
    entries = news_profile("a", 3)
    for entry, year in zip(entries, (2012, 2009, 2010), strict=True):
        entry["date"] = year
    questions = [news_question(1, entries, user_id=1), news_question(2, [], user_id=2)]
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    assert [record.date for record in data.test_users[0].history] == ["2009", "2010", "2012"]


@pytest.mark.parametrize("below", ["", "LaMP_4", "LaMP-4"])
@pytest.mark.parametrize("nested", [True, False])
def test_layouts_as_downloaded(news: Task, tmp_path: Path, below: str, nested: bool) -> None:
    for split, user in (("train", "a"), ("dev", "b")):
        folder = tmp_path / below / (split if nested else "")
        write_lamp(folder, split, [news_question(user, news_profile(user, 2), user_id=user)])
    assert len(read(news, tmp_path, users=1).train_users) == 1
    recognised = load_dataset(news, str(tmp_path), DataOptions(users=1))
    assert len(recognised.train_users) == 1


def test_time_split_is_read_when_requested_or_alone(news: Task, lamp: Path) -> None:
    users = [news_question(n, news_profile(f"t{n}", 9), user_id=n) for n in range(3)]
    write_lamp(lamp / "time" / "LaMP_4" / "train", "train", users)
    assert {user.id for user in read(news, lamp, users=1, split_by="time").train_users} < set("012")
    assert read(news, lamp, users=1).test_users[0].id == "d"
    alone = read(news, lamp / "time", users=1)
    assert "split by time" in alone.source
    check_refused(
        news, f"lamp:{lamp / 'time'}", "split by time, not by user; use --split-by time",
        split_by="user",
    )  # fmt: skip


def test_questions_in_two_places_are_an_error(news: Task, lamp: Path) -> None:
    write_lamp(lamp / "LaMP_4", "train", [news_question("x", [])])
    two = f"LaMP_4 is in {lamp} and {lamp / 'LaMP_4'}; give one of them"
    check_refused(news, f"lamp:{lamp}", two)


def test_withheld_test_split_is_read_only_when_requested(news: Task, lamp: Path) -> None:
    users = [news_question(f"t{n}", news_profile(f"t{n}", 20), user_id=f"t{n}") for n in range(2)]
    write_lamp(lamp, "test", users, golds=None)
    data = read(news, lamp, users=1)
    assert data.test_users[0].id == "d"
    assert any("withheld" in note and "--split test" in note for note in data.notes)
    asked = read(news, lamp, users=1, splits=("train", "test"))
    assert asked.test_users[0].queries[0].reference is None
    assert "test queries without a reference, answered but not scored: 1" in asked.notes
    # the other test question cannot train: it has no reference
    assert {user.id for user in asked.train_users} == {"a", "b"}
    assert "training queries without a reference, removed: 1" in asked.notes


def test_splits_restrict_reading(news: Task, lamp: Path) -> None:
    data = read(news, lamp, users=1, splits=("validation",))
    assert [user.id for user in data.train_users] == ["c"]
    check_refused(
        news, f"lamp:{lamp}", "has no test_questions.json", "--split train or dev",
        splits=("test",),
    )  # fmt: skip


def test_users_are_inferred_from_shared_profiles(news: Task, tmp_path: Path) -> None:
    questions = [
        news_question(1, news_profile("a", 3)),
        news_question(2, news_profile("b", 2)),
        news_question(3, list(reversed(news_profile("a", 3)))),
        news_question(4, []),
    ]
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    assert [query.id for query in data.test_users[0].queries] == ["1", "3"]
    assert sorted(len(user.queries) for user in data.train_users) == [1, 1]
    again = read(news, tmp_path, users=1)
    assert again.test_users[0].id == data.test_users[0].id


def test_profiles_that_leave_out_the_asked_record_are_one_users(news: Task, tmp_path: Path) -> None:
    records = news_profile("a", 6)
    questions = [
        {
            "id": record["id"],
            "input": f"Generate a headline for the following article: {record['text']}",
            "profile": [{**other, "id": f"{n}{k}"} for k, other in enumerate(records) if k != n],
        }
        for n, record in enumerate(records[:3])
    ]
    shared = {**records[0], "id": "co-author"}
    questions.append({**questions[0], "id": "z", "profile": [shared, *news_profile("z", 9)]})
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    # one shared record does not make two authors one
    assert [query.id for query in data.test_users[0].queries] == ["z"]
    assert [[q.id for q in user.queries] for user in data.train_users] == [["a0", "a1", "a2"]]


def test_own_queries_are_taken_out_of_the_history(news: Task, tmp_path: Path) -> None:
    entries = [*news_profile("a", 3), {"id": "x", "text": "asked  TEXT 1", "title": "leak"}]
    questions = [news_question(1, entries, user_id="a"), news_question(2, [], user_id="b")]
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    assert len(data.test_users[0].history) == 3
    removed = "history records that are one of the test user's own queries, removed: 1"
    assert removed in data.notes


def test_history_length_is_counted_without_own_queries(news: Task, tmp_path: Path) -> None:
    entries = [{**e, "text": f"Asked text {n}"} for n, e in enumerate(news_profile("a", 4))]
    questions = [news_question(n, entries, user_id="a") for n in range(3)]  # one record is left
    questions.append(news_question("b", news_profile("b", 2), user_id="b"))
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    assert [(user.id, len(user.history)) for user in data.test_users] == [("b", 2)]


def test_history_is_the_union_over_the_users_questions(news: Task, tmp_path: Path) -> None:
    first, second = news_profile("a", 3), news_profile("a", 5)[2:]
    second[0]["id"] = "renumbered"  # the same record under another id
    second[1]["id"] = first[0]["id"]  # another record under a used id
    questions = [
        news_question(1, first, user_id="a"),
        news_question(2, second, user_id="a"),
        news_question(3, [], user_id="b"),
    ]
    history = read(news, write_lamp(tmp_path, "train", questions), users=1).test_users[0].history
    assert sorted(record.target for record in history) == [f"Headline {n} of a" for n in range(5)]
    assert len({record.id for record in history}) == 5


def test_records_that_repeat_are_parsed_once(
    news: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's questions carry the same records; only those of test users are parsed again."""
    parsed: list[str] = []
    read_record = EntryParser.read_record

    def noted(self: EntryParser, value: object, where: str) -> Record:
        parsed.append(where)
        return read_record(self, value, where)

    monkeypatch.setattr(EntryParser, "read_record", noted)
    questions = [
        news_question(f"{user}{n}", news_profile(user, 9 if user == "a" else 4), user_id=user)
        for user in "abc"
        for n in range(3)
    ]
    write_lamp(tmp_path, "train", questions)
    data = read(news, tmp_path, users=1)
    assert [len(user.history) for user in data.test_users] == [9]
    assert len(parsed) == (9 + 4 + 4) + 3 * 9


@pytest.mark.parametrize("other", [1.0, True])
def test_equal_values_of_other_types_are_not_taken_for_the_same(
    news: Task, tmp_path: Path, other: object
) -> None:
    first, second = news_profile("a", 2), news_profile("a", 2)
    first[0]["title"], second[0]["title"] = 1, other
    asked = [news_question(str(n), profile, user_id="a")
             for n, profile in enumerate((first, second))]  # fmt: skip
    write_lamp(tmp_path, "train", [*asked, news_question("9", news_profile("b", 1), user_id="b")])
    if other is True:
        check_refused(news, f"lamp:{tmp_path}", "record 2 (id 1): profile entry 1: title must be")
    else:
        history = read(news, tmp_path, users=1).test_users[0].history
        assert sorted(record.target for record in history if "0" in record.fields["text"]) == [
            "1", "1.0",
        ]  # fmt: skip


def test_ids_may_be_numbers_and_inputs_untidy(news: Task, tmp_path: Path) -> None:
    sentence = '\n  generate a headline for the following article:\n"Two\nlines", he said. \n '
    users = [
        {"id": n, "input": sentence, "user_id": n, "profile": news_profile(f"u{n}", n, author="x")}
        for n in (1, 2)
    ]
    data = read(news, write_lamp(tmp_path, "train", users), users=1)
    assert data.test_users[0].id == "2"
    assert data.test_users[0].queries[0].fields == {"text": '"Two\nlines", he said.'}


def test_an_id_used_by_two_splits_stays_distinct(news: Task, tmp_path: Path) -> None:
    for split in ("train", "dev"):
        write_lamp(tmp_path, split, [news_question(7, news_profile(split, 2), user_id=split)])
    data = read(news, tmp_path, users=1)
    ids = {q.id for user in (*data.test_users, *data.train_users) for q in user.queries}
    assert ids == {"7", "dev:7"}
    assert "queries renamed SPLIT:ID because another split has the same id: 1" in data.notes


def test_outputs_may_be_a_list(news: Task, lamp: Path) -> None:
    for split in ("train", "dev"):
        outputs = lamp / f"{split}_outputs.json"
        outputs.write_text(json.dumps(json.loads(outputs.read_text())["golds"]))
    assert len(read(news, lamp, users=2).test_users) == 2


def test_what_cannot_be_learned_from_is_removed_and_counted(news: Task, tmp_path: Path) -> None:
    entries = news_profile("a", 3)
    entries += [entries[0], {"id": "e", "text": "no headline", "title": " "}]
    questions = [
        news_question(1, entries, user_id="a"),
        news_question(2, entries, user_id="a"),
        news_question(3, [], user_id="b"),
    ]
    golds = [{"id": n, "output": text} for n, text in ((1, "one"), (2, " "), (3, "three"))]
    data = read(news, write_lamp(tmp_path, "train", questions, golds), users=1)
    assert len(data.test_users[0].history) == 3
    assert [query.id for query in data.test_users[0].queries] == ["1"]
    assert "queries with an empty reference, removed: 1" in data.notes
    assert "repeated profile entries, one kept (all users): 2" in data.notes
    assert "profile entries with an empty target, removed (all users): 2" in data.notes


def test_a_large_file_is_not_held_in_memory(news: Task, tmp_path: Path) -> None:
    long = "word " * 2000
    users = [
        news_question(
            n,
            [{"id": f"{n}-{k}", "text": f"{n} {k} {long}", "title": "t"} for k in range(20 + n)],
            user_id=n,
        )
        for n in range(60)
    ]
    write_lamp(tmp_path, "train", users)
    del users
    size = (tmp_path / "train_questions.json").stat().st_size
    tracemalloc.start()
    try:
        data = read(news, tmp_path, users=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(data.test_users[0].history) == 79
    assert size > 15e6
    assert peak < size / 3  # one user's history and one record, not the file
