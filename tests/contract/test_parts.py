"""Decodings and promptings are checked by the names of their classes."""

import pytest

from lampbench.contract.check import check_plugin
from lampbench.contract.subject import PART_KINDS, find_subject
from lampbench.util.errors import LampbenchError

DECODING = '''
from dataclasses import dataclass
from lampbench.plugin import *

@dataclass(frozen=True)
class Warm(Decoding):
    """Sample at a temperature."""
    temperature: float = hyper("softmax temperature", default=0.7, low=1e-6)

    def spec(self, context, user):
        return GenerationSpec(
            self.max_new_tokens, self.repetition_penalty, self.penalty_on,
            sampling=Sampling({temperature}, 1.0),
        )
'''


def checked(shop, tmp_path, source):
    file = tmp_path / "warm.py"
    file.write_text(source)
    found = check_plugin("decoding", "Warm", shop, plugins=[str(file)])
    return {one.check: one for one in found}


def test_a_sound_decoding_passes(shop, tmp_path):
    found = checked(shop, tmp_path, DECODING.format(temperature="self.temperature"))
    assert {one.verdict for one in found.values()} == {"passed"}, found


def test_a_decoding_that_ignores_its_setting_fails(shop, tmp_path):
    found = checked(shop, tmp_path, DECODING.format(temperature="0.7"))["hyper-parameters"]
    assert found.verdict == "failed"
    assert found.message.startswith("decoding.temperature changes nothing in a run")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("decoding", "Greedy"),
        ("prompting", "Plain"),
        ("retriever", "Recent"),
        ("criterion", "HistorySimilarity"),
        ("criterion", "ImplicitReward"),
    ],
)
def test_a_built_in_part_passes_by_class_and_by_name(shop, kind, name):
    assert kind in PART_KINDS
    found = list(check_plugin(kind, name, shop))
    assert {one.verdict for one in found} <= {"passed", "skipped"}, found
    own = vars(find_subject(kind, name).found)["name"]
    assert find_subject(kind, own).found.__name__ == name


CRITERION = '''
from dataclasses import dataclass
from lampbench.plugin import *

@dataclass(frozen=True)
class Length(Criterion):
    """Prefer the answer whose number of words is nearest to a fixed one."""
    words: int = hyper("words that an answer should have", default=4, low=0)
    kept = {{}}

    def rate(self, context, candidates):
        for each in candidates:
            rows = zip(each.user.queries, each.texts, strict=True)
            yield each.user, [[{rating} for text in texts] for query, texts in rows]
'''
SOUND = "-abs(len(text.split()) - self.words)"
CRITERIA = {
    "that ignores its setting": ("-abs(len(text.split()) - 4)", "hyper-parameters",
                                 "choice.words changes nothing in a run"),
    "that peeks": ("text.count((query.reference or '')[:1])", "references",
                   "reads the reference of a test user's query"),
    "that keeps lengths between runs": (
        "-abs(len(text.split()) - self.kept.setdefault(query.id, len(text.split())))",
        "state", "Keep nothing on the plugin between calls"),
}  # fmt: skip


def criterion(shop, tmp_path, rating):
    file = tmp_path / "length.py"
    file.write_text(CRITERION.format(rating=rating))
    found = check_plugin("criterion", "Length", shop, plugins=[str(file)])
    return {one.check: one for one in found}


def test_a_sound_criterion_passes(shop, tmp_path):
    found = criterion(shop, tmp_path, SOUND)
    assert {one.verdict for one in found.values()} == {"passed"}, found


@pytest.mark.parametrize("what", CRITERIA)
def test_a_criterion_fails(shop, tmp_path, what):
    rating, check, message = CRITERIA[what]
    found = criterion(shop, tmp_path, rating)[check]
    assert found.verdict == "failed" and message in found.message, found


def test_an_unknown_part_names_those_there_are():
    with pytest.raises(LampbenchError, match="did you mean Greedy"):
        find_subject("decoding", "Gredy")


def test_an_unknown_kind_is_told():
    with pytest.raises(LampbenchError, match="no kind of plugin is called 'engine'"):
        find_subject("engine", "batched")


TWO_BUDGETS = '''
from dataclasses import dataclass, replace
from lampbench.plugin import *

@dataclass(frozen=True)
class TwoBudgets(Greedy):
    """An answer that its budget cut off is asked again with a larger one (defined here)."""
    more: int = hyper("further tokens of the second try", default=16, low=1)

    def answers(self, context, asked):
        asked = [(user, list(requests)) for user, requests in asked]
        by_user = {user.id: requests for user, requests in asked}
        again = []
        for user, found in context.answer(asked):
            pairs = zip(by_user[user.id], found, strict=True)
            again.append((user, [self.longer(r) if one.truncated else r for r, (one,) in pairs]))
        for user, found in context.answer(again):
            yield user, [one for (one,) in found]

    def longer(self, request):
        budget = request.spec.max_new_tokens + self.more
        return replace(request, spec=replace(request.spec, max_new_tokens=budget))
'''


def two_budgets(shop, tmp_path, source):
    file = tmp_path / "two_budgets.py"
    file.write_text(source)
    found = check_plugin("decoding", "TwoBudgets", shop, plugins=[str(file)])
    return {one.check: one for one in found}


def test_a_setting_that_matters_where_an_answer_is_truncated_passes(shop, tmp_path):
    found = two_budgets(shop, tmp_path, TWO_BUDGETS)
    assert {one.verdict for one in found.values()} == {"passed"}, found


@pytest.mark.parametrize("condition", ["one.text == 'a'", "len(one.token_ids) > 9000"])
def test_a_setting_that_is_read_without_effect_is_noted(shop, tmp_path, condition):
    source = TWO_BUDGETS.replace("one.truncated", condition)
    found = two_budgets(shop, tmp_path, source)["hyper-parameters"]
    assert found.verdict == "note"
    assert "decoding.more has no effect on the trial's data" in found.message


def test_a_setting_that_is_not_read_fails_also_where_a_method_has_its_name(shop, tmp_path):
    source = TWO_BUDGETS.replace("more:", "count:").replace("self.more", "'a'.count('a')")
    found = two_budgets(shop, tmp_path, source)["hyper-parameters"]
    assert found.verdict == "failed"
    assert "decoding.count changes nothing in a run: use self.count in TwoBudgets" in found.message
