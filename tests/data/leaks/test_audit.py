"""The audit: every kind of leak, planted once in data that has none."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.data.leaks.audit import LeakAudit, count_leaks, pretraining_document
from lampbench.data.leaks.corpus_sketch import make_sketch
from lampbench.data.leaks.overlap import ComparedText, LeakCase
from lampbench.data.sources import load_credits, load_dev_users
from tests.data.leaks.made_users import Json, Users, made_record, made_users, made_words
from tests.data.leaks.made_users import write_users as write

Found = dict[tuple[str, str, str, bool], tuple[LeakCase, ...]]
"""Cases by (what, where, by, is a leak)."""


@pytest.fixture
def users() -> Users:
    return made_users()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def audit_of(task: Task, folder: Path, *, strict: bool = False) -> LeakAudit:
    data, options = f"lampbench:{folder}", DataOptions()
    dev = load_dev_users(task, data, options)
    return LeakAudit(load_dataset(task, data, options), dev, task.fields, strict=strict)


def found(task: Task, folder: Path, documents: Iterable[ComparedText] = ()) -> tuple[int, Found]:
    """The number of leaks, and what was found, with all cases."""
    audit = audit_of(task, folder)
    findings = audit.within()
    if documents:
        findings += audit.in_documents(documents)
    if credits := load_credits(task, f"lampbench:{folder}"):
        findings.append(audit.by_author(credits))
    cases = {(f.what, f.where, f.by, f.leak): f.cases for f in findings if f.cases}
    return count_leaks(findings), cases


def test_clean_data_pass(news: Task, users: Users, folder: Path) -> None:
    assert found(news, write(users, folder)) == (0, {})
    (folder / "dev.jsonl").unlink()
    assert found(news, folder) == (0, {})


Place = tuple[str, int, str]
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


def first_record(users: Users, place: Place) -> Json:
    name, at, kind = place
    record: Json = users[name][at][kind][0]
    return record


def copy(users: Users, source: Place, target: Place, *, whole: bool = True) -> None:
    """Copy a record's texts into another record: all, or 13 words of the target."""
    given, taken = first_record(users, source), first_record(users, target)
    if whole:
        taken["fields"], taken["target"] = given["fields"], given["target"]
    else:
        taken["target"] += " " + " ".join(given["target"].split()[3:16])


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
def test_a_text_in_two_places(
    news: Task, users: Users, folder: Path, source: Place, target: Place, leak: bool, whole: bool
) -> None:
    copy(users, source, target, whole=whole)
    leaks, cases = found(news, write(users, folder))
    where = (NAMES[source], NAMES[target])
    kinds = {"id", "words"} if whole else {"words"}
    assert set(cases) == {(*where, by, leak) for by in kinds}
    assert bool(leaks) == leak
    (case,) = cases[(*where, "words", leak)]
    # 13 of a text's 20 words are 1 of its 8 13-grams
    assert case.share == (1.0 if whole else 1 / 8)
    first = first_record(users, source)
    assert case.words == " ".join(
        made_words(first["id"]).split()[:13] if whole else first["target"].split()[3:16]
    )


def test_a_record_of_two_users_of_one_group_is_reported(
    news: Task, users: Users, folder: Path
) -> None:
    copy(users, OWN_HISTORY, OTHER_HISTORY)
    place = "history of test users"
    leaks, cases = found(news, write(users, folder))
    assert leaks == 0 and set(cases) == {(place, place, "id", False)}


def test_a_user_may_have_a_text_twice(news: Task, users: Users, folder: Path) -> None:
    first, second = users["test"][0]["history"]
    second["fields"] = first["fields"]
    assert found(news, write(users, folder)) == (0, {})


def test_a_user_in_two_groups(news: Task, users: Users, folder: Path) -> None:
    users["train"][0]["id"] = "ann"
    leaks, cases = found(news, write(users, folder))
    assert leaks == 1
    (case,) = cases["users", "another group", "id", True]
    assert case.what == "user 'ann' (test)" and case.where == "user 'ann' (training)"


def test_a_name_in_two_spellings_is_reported(news: Task, users: Users, folder: Path) -> None:
    users["test"][0]["id"], users["train"][0]["id"] = "Ann-Marie Lee", "annmarielee"
    leaks, cases = found(news, write(users, folder))
    assert leaks == 0 and set(cases) == {("users", "another group", "author", False)}
    strict = audit_of(news, folder, strict=True).within()
    assert count_leaks(strict) == 1
    users["test"][0]["id"], users["train"][0]["id"] = "1-2", "12"
    assert found(news, write(users, folder)) == (0, {})


@pytest.mark.parametrize("place", ["data", "."])
def test_a_paper_that_another_test_user_wrote_too(
    news: Task, users: Users, folder: Path, tmp_path: Path, place: str
) -> None:
    write(users, folder)
    credits = tmp_path / place / "CREDITS.tsv"
    credits.write_text("id\tauthors\nbobh0\tXu; bob\neveq0\teve\n")
    assert found(news, folder) == (0, {})
    credits.write_text("id\tauthors\nbobh0\tann; bob\neveq0\tdan; eve\n")
    leaks, cases = found(news, folder)
    assert leaks == 2
    (papers,) = cases.values()
    assert [case.what for case in papers] == [
        "record 'bobh0' of test user 'bob'",
        "record 'eveq0' of training user 'eve'",
    ]


def test_short_texts_are_compared_as_a_whole(news: Task, users: Users, folder: Path) -> None:
    first_record(users, TEST_QUERY)["target"] = "A title of five words!"
    first_record(users, TRAINING)["target"] = "a title of FIVE words"
    leaks, cases = found(news, write(users, folder))
    assert leaks == 1
    (case,) = cases["test queries", "training records", "words", True]
    assert (case.share, case.words) == (1.0, "a title of five words")
    for place in (TEST_QUERY, TRAINING):
        first_record(users, place)["target"] = "Only four words here"
    assert found(news, write(users, folder)) == (0, {})


def test_a_copy_in_a_pretraining_text(news: Task, users: Users, folder: Path) -> None:
    def documents(*texts: str) -> list[ComparedText]:
        return [
            pretraining_document("1", ("One", made_words("free"))),
            pretraining_document("2", texts),
        ]

    write(users, folder)
    assert found(news, folder, documents(made_words("other"))) == (0, {})
    leaks, cases = found(news, folder, documents(f"So: {made_words('tannq0')}"))
    assert leaks == 1 and set(cases) == {("test queries", "pre-training text", "words", True)}
    ((case,),) = cases.values()
    assert (case.where, case.share) == ("document '2'", 1.0)
    leaks, cases = found(news, folder, documents("x", made_words("annh0")))
    assert leaks == 0
    assert set(cases) == {("history of test users", "pre-training text", "words", False)}


def test_in_strict_data_everything_shared_is_a_leak(news: Task, users: Users, folder: Path) -> None:
    copied = made_record("eveq0")
    audit = audit_of(news, write(users, folder), strict=True)
    documents = [pretraining_document("annh0", (copied["target"],))]
    cases = {(f.what, f.by): f.leak for f in audit.in_documents(documents) if f.cases}
    assert cases == {("training records", "words"): True, ("history of test users", "id"): True}


def test_a_copy_in_a_sketch(news: Task, users: Users, folder: Path) -> None:
    query = first_record(users, TEST_QUERY)
    query["target"] = made_words("long", 200)
    audit = audit_of(news, write(users, folder))
    assert not count_leaks(audit.in_sketch(make_sketch([("1", [made_words("free", 200)])])))
    findings = audit.in_sketch(make_sketch([("1", [query["target"]])]))
    assert count_leaks(findings) == 1
    (case,) = [case for finding in findings for case in finding.cases]
    assert (case.what, case.where, case.share) == (
        "query 'annq0' of test user 'ann'",
        "pre-training text",
        1.0,
    )
