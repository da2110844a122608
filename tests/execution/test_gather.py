"""An answer belongs to the request that it answers, however often a method asks."""

from dataclasses import replace

import pytest

from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.protocol import GenerateRequest, GenerationSpec, Sampling, ScoreRequest
from lampbench.execution.gather import request_digest
from lampbench.execution.runner import execute
from lampbench.record.recorded_run import read_run
from lampbench.scoring import PredictionRow

TWICE = """
from dataclasses import replace
from lampbench.plugin import *

@register_method("twice")
class Twice(Method):
    adaptation = UserSFT(start=TaskSFT())

    def ask(self, context, users, prefix):
        spec = self.decoding.spec(context, users[0])
        work = [
            (user, [GenerateRequest(q.id, self.words(prefix, q, spec), (), spec)
                    for q in user.queries])
            for user in users
        ]
        return {user.id: [one.text for (one,) in answers] for user, answers in context.answer(work)}

    def words(self, prefix, query, spec):
        return Prompt("", (Piece(f"{prefix} {query.id[-8:]} {spec.max_new_tokens}"),))

    def predict(self, context, users):
        drafts = self.ask(context, users, "draft")
        refined = self.ask(context, users, "refine")
        work = [
            (user, [ScoreRequest(q.id, context.prompt(user, q), text,
                                 context.weights(self.adaptation, user))
                    for q, text in zip(user.queries, drafts[user.id])])
            for user in users
        ]
        scores = {user.id: found for user, found in context.score(work)}
        for user in users:
            for at, query in enumerate(user.queries):
                score = scores[user.id][at].logprobs[0]
                text = f"{drafts[user.id][at]}|{refined[user.id][at]}|{score}"
                yield Prediction(user.id, query.id, text)
"""


def parts(row: PredictionRow) -> list[str]:
    assert row.prediction is not None
    return row.prediction.split("|")


@pytest.fixture
def twice(planner, tmp_path):
    (tmp_path / "twice.py").write_text(TWICE)

    def run(*assignments, **options):
        plan = planner("twice", *assignments, plugins=[tmp_path / "twice.py"], **options)
        rows = read_run(execute(plan, "", tmp_path / "results")).predictions
        return [parts(row) for row in rows]

    return run


def test_a_second_question_is_not_given_the_first_answer(twice):
    for draft, refined, _ in twice():
        assert draft.startswith("draft ") and refined.startswith("refine")


def test_scores_are_of_the_texts_they_were_asked_for(twice):
    """Another run over the same cache and adapters asks about other texts."""
    first = twice()
    shared = twice("decoding.max_new_tokens=7")
    fresh = twice("decoding.max_new_tokens=7", cache="fresh")
    assert shared == fresh
    assert all(
        one[0] != other[0] and one[2] != other[2] for one, other in zip(first, shared, strict=True)
    )


def test_after_a_kill_each_answer_is_still_of_its_question(twice, engine):
    whole = twice()
    for budget in range(8, 20, 3):
        engine.budget = budget
        with pytest.raises(BaseException, match=r"^$"):
            twice(cache=f"cache{budget}", seed=budget)
        engine.budget = None
        resumed = twice(cache=f"cache{budget}", seed=budget)
        assert [row[:2] for row in resumed] == [row[:2] for row in whole], "no seed in a draft"


def test_one_request_for_different_numbers_of_samples(planner, engine):
    executor = planner("base").executor
    user = executor.dataset.test_users[0]
    one = GenerateRequest("q", Prompt("", (Piece("p"),)), (), SPEC, samples=1)
    for samples in ((1, 3), (3, 1), (2, 2)):
        work = [(user, [replace(one, samples=n, seed=sum(samples)) for n in samples])]
        ((_, answers),) = executor.answer(work)
        assert [len(found) for found in answers] == list(samples)
        assert [one.sample for one in answers[0]] == list(range(samples[0]))


SPEC = GenerationSpec(8)
ASKED = GenerateRequest("a", Prompt("s", (Piece("p"),)), (), SPEC, seed=1)


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, prompt=Prompt("s", (Piece("q"),))),
        replace(ASKED, prompt=Prompt("t", (Piece("p"),))),
        replace(ASKED, seed=2),
        replace(ASKED, spec=GenerationSpec(9)),
        replace(ASKED, spec=replace(SPEC, sampling=Sampling(1.0, 1.0))),
        replace(ASKED, teacher_text="text"),
        ScoreRequest("a", ASKED.prompt, "r", ()),
        ScoreRequest("a", ASKED.prompt, "r", (), "raw"),
    ],
)
def test_whatever_changes_an_answer_changes_the_digest(other, tmp_path):
    assert request_digest(ASKED, tmp_path) != request_digest(other, tmp_path)


def test_a_digest_knows_adapters_by_their_key_and_not_by_where_the_cache_is(tmp_path):
    one = replace(ASKED, weights=(tmp_path / "a" / "task_sft" / "k1" / "adapter",))
    moved = replace(ASKED, weights=(tmp_path / "b" / "task_sft" / "k1" / "adapter",))
    other = replace(ASKED, weights=(tmp_path / "a" / "task_sft" / "k2" / "adapter",))
    assert request_digest(one, tmp_path / "a") == request_digest(moved, tmp_path / "b")
    assert request_digest(one, tmp_path / "a") != request_digest(other, tmp_path / "a")
    assert request_digest(replace(ASKED, id="b", samples=3), tmp_path) == request_digest(
        ASKED, tmp_path
    ), "what it is called and how many it asks for change no answer"
