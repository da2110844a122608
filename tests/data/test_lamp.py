"""LaMP's official files: layouts, users, histories."""

import json
import tracemalloc
from pathlib import Path

import pytest

from lampbench.data import DataOptions, load
from lampbench.util.errors import LampbenchError


def read(task, folder, **options):
    return load(task, f"lamp:{folder}", DataOptions(**options))


def test_longest_histories_are_tested_and_all_others_train(news, lamp):
    data = read(news, lamp, users=2)
    assert [(user.id, len(user.history)) for user in data.test_users] == [("d", 8), ("c", 6)]
    assert [user.id for user in data.train_users] == ["a", "b"]
    assert [q.id for user in data.train_users for q in user.queries] == ["q1", "q2", "q3"]
    query = data.test_users[0].queries[0]
    assert (query.id, query.fields, query.reference) == ("q5", {"text": "Asked text q5"}, "Gold q5")
    assert "lamp:" in data.source and "user split: train, dev" in data.source
    assert not data.notes


def test_history_is_sorted_by_date_where_all_are_dated(news, lamp):
    records = read(news, lamp, users=1).test_users[0].history
    assert [record.id for record in records] == [f"d{n}" for n in reversed(range(8))]
    assert (records[0].fields, records[0].target, records[0].date) == (
        {"text": "Article 7 of d."},
        "Headline 7 of d",
        "2014-01-21",
    )


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_history_without_full_dates_stands_as_in_the_file(
    news, tmp_path, question, profile, write_lamp, date
):
    entries = profile("a", 3)
    entries[1]["date"] = date
    questions = [question(1, entries, user_id=1), question(2, profile("b", 1), user_id=2)]
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    assert [record.id for record in data.test_users[0].history] == ["a0", "a1", "a2"]
    assert any("without a date" in note for note in data.notes)


def test_whole_year_dates_sort(news, tmp_path, question, profile, write_lamp):
    entries = profile("a", 3)
    for entry, year in zip(entries, (2012, 2009, 2010), strict=True):
        entry["date"] = year
    questions = [question(1, entries, user_id=1), question(2, [], user_id=2)]
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    assert [record.date for record in data.test_users[0].history] == ["2009", "2010", "2012"]


@pytest.mark.parametrize("below", ["", "LaMP_4", "LaMP-4"])
@pytest.mark.parametrize("nested", [True, False])
def test_layouts_as_downloaded(news, tmp_path, question, profile, write_lamp, below, nested):
    for part, user in (("train", "a"), ("dev", "b")):
        folder = tmp_path / below / (part if nested else "")
        write_lamp(folder, part, [question(user, profile(user, 2), user_id=user)])
    assert len(read(news, tmp_path, users=1).train_users) == 1
    assert len(load(news, str(tmp_path), DataOptions(users=1)).train_users) == 1  # recognised


def test_time_split_is_read_when_asked_or_alone(news, lamp, question, profile, write_lamp):
    users = [question(n, profile(f"t{n}", 9), user_id=n) for n in range(3)]
    write_lamp(lamp / "time" / "LaMP_4" / "train", "train", users)
    assert {user.id for user in read(news, lamp, users=1, split_by="time").train_users} < set("012")
    assert read(news, lamp, users=1).test_users[0].id == "d"
    alone = read(news, lamp / "time", users=1)
    assert "time split" in alone.source
    with pytest.raises(LampbenchError, match="no user split of LaMP_4"):
        read(news, lamp / "time", split_by="user")


def test_questions_in_two_places_are_an_error(news, lamp, question, write_lamp):
    write_lamp(lamp / "LaMP_4", "train", [question("x", [])])
    with pytest.raises(LampbenchError, match=r"stand in .*lamp and .*LaMP_4; give one"):
        read(news, lamp)


def test_withheld_test_part_is_read_only_when_asked(news, lamp, question, profile, write_lamp):
    users = [question(f"t{n}", profile(f"t{n}", 20), user_id=f"t{n}") for n in range(2)]
    write_lamp(lamp, "test", users, golds=None)
    data = read(news, lamp, users=1)
    assert data.test_users[0].id == "d"
    assert any("withheld" in note for note in data.notes)
    asked = read(news, lamp, users=1, splits=("train", "test"))
    assert asked.test_users[0].queries[0].reference is None
    assert any("without reference, answered but not scored: 1" in note for note in asked.notes)
    # the other test question cannot train: it has no reference
    assert {user.id for user in asked.train_users} == {"a", "b"}
    assert any("training users without reference, left out: 1" in note for note in asked.notes)


def test_parts_restrict_reading(news, lamp):
    data = read(news, lamp, users=1, splits=("validation",))
    assert [user.id for user in data.train_users] == ["c"]
    with pytest.raises(LampbenchError, match=r"has no test_questions\.json"):
        read(news, lamp, splits=("test",))


def test_users_are_recovered_by_shared_profile(news, tmp_path, question, profile, write_lamp):
    questions = [
        question(1, profile("a", 3)),
        question(2, profile("b", 2)),
        question(3, list(reversed(profile("a", 3)))),
        question(4, []),
    ]
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    assert [query.id for query in data.test_users[0].queries] == ["1", "3"]
    assert sorted(len(user.queries) for user in data.train_users) == [1, 1]
    again = read(news, tmp_path, users=1)
    assert again.test_users[0].id == data.test_users[0].id


def test_profiles_that_leave_out_the_asked_record_are_one_users(
    news, tmp_path, profile, write_lamp
):
    records = profile("a", 6)
    questions = [
        {
            "id": record["id"],
            "input": f"Generate a headline for the following article: {record['text']}",
            "profile": [{**other, "id": f"{n}{k}"} for k, other in enumerate(records) if k != n],
        }
        for n, record in enumerate(records[:3])
    ]
    shared = {**records[0], "id": "co-author"}
    questions.append({**questions[0], "id": "z", "profile": [shared, *profile("z", 9)]})
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    # one shared record does not make two authors one
    assert [query.id for query in data.test_users[0].queries] == ["z"]
    assert [[q.id for q in user.queries] for user in data.train_users] == [["a0", "a1", "a2"]]


def test_own_queries_are_taken_out_of_the_history(news, tmp_path, question, profile, write_lamp):
    entries = [*profile("a", 3), {"id": "x", "text": "asked  TEXT 1", "title": "leak"}]
    questions = [question(1, entries, user_id="a"), question(2, [], user_id="b")]
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    assert len(data.test_users[0].history) == 3
    assert any("own queries, left out: 1" in note for note in data.notes)


def test_only_records_that_are_left_count_for_the_choice(
    news, tmp_path, question, profile, write_lamp
):
    entries = [{**e, "text": f"Asked text {n}"} for n, e in enumerate(profile("a", 4))]
    questions = [question(n, entries, user_id="a") for n in range(3)]  # one record is left
    questions.append(question("b", profile("b", 2), user_id="b"))
    data = read(news, write_lamp(tmp_path, "train", questions), users=1)
    assert [(user.id, len(user.history)) for user in data.test_users] == [("b", 2)]


def test_history_is_the_union_over_the_users_questions(
    news, tmp_path, question, profile, write_lamp
):
    first, second = profile("a", 3), profile("a", 5)[2:]
    second[0]["id"] = "renumbered"  # the same record under another id
    second[1]["id"] = first[0]["id"]  # another record under a used id
    questions = [
        question(1, first, user_id="a"),
        question(2, second, user_id="a"),
        question(3, [], user_id="b"),
    ]
    history = read(news, write_lamp(tmp_path, "train", questions), users=1).test_users[0].history
    assert sorted(record.target for record in history) == [f"Headline {n} of a" for n in range(5)]
    assert len({record.id for record in history}) == 5


def test_ids_may_be_numbers_and_inputs_untidy(news, tmp_path, profile, write_lamp):
    sentence = '\n  generate a headline for the following article:\n"Two\nlines", he said. \n '
    users = [
        {"id": n, "input": sentence, "user_id": n, "profile": profile(f"u{n}", n, author="x")}
        for n in (1, 2)
    ]
    data = read(news, write_lamp(tmp_path, "train", users), users=1)
    assert data.test_users[0].id == "2"
    assert data.test_users[0].queries[0].fields == {"text": '"Two\nlines", he said.'}


def test_an_id_used_by_two_parts_stays_distinct(news, tmp_path, question, profile, write_lamp):
    for part in ("train", "dev"):
        write_lamp(tmp_path, part, [question(7, profile(part, 2), user_id=part)])
    data = read(news, tmp_path, users=1)
    ids = {q.id for user in (*data.test_users, *data.train_users) for q in user.queries}
    assert ids == {"7", "dev:7"}
    assert any("renamed PART:ID: 1" in note for note in data.notes)


def test_outputs_may_be_a_list(news, lamp):
    for part in ("train", "dev"):
        outputs = lamp / f"{part}_outputs.json"
        outputs.write_text(json.dumps(json.loads(outputs.read_text())["golds"]))
    assert len(read(news, lamp, users=2).test_users) == 2


def test_what_cannot_be_learned_from_is_dropped_and_counted(
    news, tmp_path, question, profile, write_lamp
):
    entries = profile("a", 3)
    entries += [entries[0], {"id": "e", "text": "no headline", "title": " "}]
    questions = [
        question(1, entries, user_id="a"),
        question(2, entries, user_id="a"),
        question(3, [], user_id="b"),
    ]
    golds = [{"id": n, "output": text} for n, text in ((1, "one"), (2, " "), (3, "three"))]
    data = read(news, write_lamp(tmp_path, "train", questions, golds), users=1)
    assert len(data.test_users[0].history) == 3
    assert [query.id for query in data.test_users[0].queries] == ["1"]
    assert "queries with an empty reference, left out: 1" in data.notes
    assert "profile entries (of all users) that stand twice, one kept: 2" in data.notes
    assert "profile entries (of all users) with an empty target, left out: 2" in data.notes


def test_a_large_file_is_not_held_in_memory(news, tmp_path: Path, question, write_lamp):
    long = "word " * 2000
    users = [
        question(
            n,
            [{"id": f"{n}-{k}", "text": f"{n} {k} {long}", "title": "t"} for k in range(20 + n)],
            user_id=n,
        )
        for n in range(20)
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
    assert len(data.test_users[0].history) == 39
    assert size > 5e6
    assert peak < size / 3  # one user's history and one record, not the file
