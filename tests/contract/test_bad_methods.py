"""Methods that break the contract fail the right check, with a message that says what to change."""

import pytest

from lampbench.contract.check import check_plugin
from tests.contract import bad_plugins as bad


def line_of(source, text):
    return next(n for n, line in enumerate(source.splitlines(), 1) if text in line)


def test_a_sound_method_passes(checked):
    found = checked(bad.SOUND)
    assert {one.verdict for one in found.values()} == {"passed"}, found


def test_a_method_that_draws_several_answers_and_chooses_passes(checked):
    found = checked(bad.SAMPLES_ITSELF)
    failed = [one for one in found.values() if one.verdict == "failed"]
    assert not failed and found["batch"].verdict == "passed", found


@pytest.mark.parametrize(
    ("source", "check", "says", "at"),
    [
        (bad.PEEKS, "references", "reads the reference of a test user's query", "getattr(item"),
        (bad.PEEKS_BEHIND_A_LIBRARY, "references", "must not depend on query.reference", None),
        (bad.KEEPS_STATE, "batch", "never on who else is in `users`", "self.seen.append"),
        (bad.KEEPS_STATE, "state", "Keep nothing on the plugin", "self.seen.append"),
        (bad.KEEPS_STATE, "order of users", "users before it", "self.seen.append"),
        (bad.REMEMBERS_BETWEEN_RUNS, "state", "Keep nothing on the plugin", "self.known.set"),
        (bad.IGNORES_A_HYPERPARAMETER, "hyper-parameters",
         "prompting.unused changes nothing in a run: use self.unused in Mine, or remove it",
         "class Mine"),
        (bad.DEPENDS_ON_THE_ORDER, "order of users", "must not depend on the users before",
         "users[0]"),
        (bad.DEPENDS_ON_THE_PLACE, "order of users", "Choose other users by their ids",
         "test_users[0]"),
        (bad.NUMBERS_THE_USERS, "order of users", "Choose other users by their ids", "enumerate("),
        (bad.COMPUTES_FROM_THE_BATCH, "batch", "never on who else is in `users`", "usual = max("),
        (bad.FORGETS_A_QUERY, "runs", "no prediction for 3 queries", "def predict"),
        (bad.RANDOM, "determinism", "random.Random(seed_from(context.seed", "random.random()"),
        (bad.HASHES, "determinism", "sort sets before use", "words = set("),
        (bad.RETURNS_TEXT, "runs", "which is not a Prompt; fix render() of Mine", "def render"),
        (bad.RETURNS_NOTHING, "runs", "make it yield one Prediction per query", None),
        (bad.RAISES, "runs", "failed in Mine.render()", "user.nothing"),
        (bad.FORGETS_ON_RESUME, "resume", "with context.put", "notes[user.id] = "),
        (bad.FORGETS_WITHOUT_ASKING, "resume", "with context.put", "notes[user.id] = "),
        (bad.NO_CARD, "card", "set `title`, the name in tables, as in title = 'Mine'",
         "class MineMethod"),
        (bad.NO_CARD, "card", "give the class a docstring", "class MineMethod"),
        (bad.UNEXPLAINED, "card", "say what the hyper-parameter prompting.count means", None),
        (bad.NO_DEFAULT, "runs", 'in the plugin, give it one: hyper("...", default=...)', None),
        (bad.HIDES_A_PART, "hyper-parameters", "not in a list or dict", "class Hidden"),
        (bad.TRAINS_ON_ANSWERS, "training prompts", "quote from before(user, item)", None),
        (bad.QUOTES_LATER_RECORDS, "training prompts", "quotes the later record", None),
        (bad.YIELDS_TOO_EARLY, "runs", "ended without an artifact of ann", None),
    ],
)  # fmt: skip
def test_a_bad_method_fails_with_what_to_change(checked, tmp_path, source, check, says, at):
    found = checked(source)[check]
    assert found.verdict == "failed"
    assert says in found.message
    if at:
        assert f"{tmp_path / 'mine.py'}:{line_of(source, at)}" in found.message
    assert "\n" not in found.message


def test_a_missing_source_is_noted_with_its_line(checked, tmp_path):
    found = checked(bad.NO_SOURCE)["card"]
    place = f"{tmp_path / 'mine.py'}:{line_of(bad.NO_SOURCE, 'class MineMethod')}"
    assert found.verdict == "note"
    assert found.message.startswith(f"{place}: name the source in the docstring")


def test_asking_for_one_user_at_a_time_is_noted_with_its_line(checked, tmp_path):
    found = checked(bad.ASKS_ONE_BY_ONE)["batch"]
    assert found.verdict == "note"
    told = "context.answer() was called 4 times with one user each: give all users at once"
    place = f"{tmp_path / 'mine.py'}:{line_of(bad.ASKS_ONE_BY_ONE, 'context.answer')}"
    assert told in found.message and found.message.endswith(f"look at {place}")


def test_a_run_that_stores_nothing_has_no_resumption_to_check(shop):
    found = {one.check: one for one in check_plugin("method", "copy_recent", shop)}["resume"]
    assert (found.verdict, "stores nothing" in found.message) == ("skipped", True)


def test_what_depends_on_a_broken_plugin_is_skipped(checked):
    found = checked(bad.RANDOM)
    after = ("batch", "order of users", "resume", "state")
    assert {found[check].verdict for check in after} == {"skipped"}


def test_an_undeclared_constant_is_noted_with_its_line(checked, tmp_path):
    found = checked(bad.HAS_A_CONSTANT)["constants"]
    assert found.verdict == "note"
    place = f"{tmp_path / 'mine.py'}:{line_of(bad.HAS_A_CONSTANT, 'user.history[: 2]')} (2)"
    assert found.message.startswith(f"{place}: changes answers and is no hyper-parameter")


def test_a_value_of_a_declared_hyperparameter_is_no_constant(checked):
    source = bad.SOUND.replace("prompting = Mine()", "prompting = Mine(count=3)")
    assert checked(source)["constants"].verdict == "passed"
