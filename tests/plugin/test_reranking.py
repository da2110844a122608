"""Several answers, then a choice: equal to naive loops, batched, resumed, priced."""

import math
from dataclasses import replace

import pytest

from lampbench.engine.models import resolve_model
from lampbench.engine.protocol import GenerateRequest, GenerationSpec, Sampling, ScoreRequest
from lampbench.execution.runner import execute
from lampbench.plugin import CandidateAnswers
from lampbench.record.recorded_run import read_run
from lampbench.registry import Registry
from lampbench.study.token_cost import Lengths, answer_cost
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest, seed_from
from tests.shared.fake_runs import Killed, RecordingEngine

CHOICES = {
    "reward": "ImplicitReward(of=oppu, over=tam)",
    "likelihood": "AnswerLikelihood(under=oppu)",
    "history": "HistorySimilarity()",
}
METHOD = """
from lampbench.plugin import *

tam = TaskSFT()
oppu = UserSFT(start=tam)

class Odd(Criterion):
    def rate(self, context, candidates):
        for each in candidates:
            yield each.user, [[float("nan")] * len(texts) for texts in each.texts]

class Few(Criterion):
    def rate(self, context, candidates):
        for each in candidates:
            yield each.user, [[1.0] * (len(texts) - 1) for texts in each.texts]

@register_method("mine")
class Mine(Method):
    adaptation = {weights}
    decoding = {decoding}
"""


@pytest.fixture
def plan(planner, tmp_path):
    """A plan of a method with this decoding."""

    def make(decoding, *settings, weights="oppu", **options):
        text = METHOD.format(decoding=decoding, weights=weights)
        file = tmp_path / digest(text) / "mine.py"  # a file is imported once
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return planner("mine", *settings, plugins=[file], **options)

    return make


def run(plan):
    return read_run(execute(plan, "x", plan.folder.parents[3]))


def naive(plan, choice):
    """One query, one sample and one score at a time, straight from the engine."""
    context = plan.executor
    rouge = Registry().metric("rougeL")
    found = {}
    for user in context.dataset.test_users:
        own = context.weights(plan.method.adaptation, user)
        below = own[:1]
        for query in user.queries:
            prompt = context.prompt(user, query)
            spec = GenerationSpec(
                plan.method.decoding.max_new_tokens, 1.0, sampling=Sampling(0.8, 0.9)
            )
            seed = seed_from(context.seed, user.id, "predict", query.id)
            asked = GenerateRequest(query.id, prompt, own, spec, 4, seed)
            texts = [one.text for one in RecordingEngine().generate([asked])]

            def logs(text, weights, prompt=prompt):
                (one,) = RecordingEngine().score([ScoreRequest("q", prompt, text, weights)])
                return one.logprobs

            def rating(text, user=user, own=own, below=below, logs=logs):
                if choice == "reward":
                    return sum(logs(text, own)) - sum(logs(text, below))
                if choice == "likelihood":
                    return sum(logs(text, own)) / len(logs(text, own))
                values = [_rouge(rouge, text, record.target) for record in user.history]
                return sum(values) / len(values)

            best, chosen = -math.inf, ""
            for text in texts:
                if rating(text) > best:
                    best, chosen = rating(text), text
            found[query.id] = chosen
    return found


def _rouge(metric, text, past):
    from lampbench.plugin import Answer

    return metric.score(Answer("u", "q", text, past))


@pytest.mark.parametrize("choice", CHOICES)
def test_the_choice_equals_a_naive_loop(plan, engine, choice):
    sampled = "Sampled(n=4, temperature=0.8, top_p=0.9)"
    made = plan(f"Reranked({sampled}, by={CHOICES[choice]})")
    answers = {row.query: row.prediction for row in run(made).predictions}
    assert answers == naive(made, choice)
    first = plan(sampled.replace("n=4", "n=1"))
    single = {row.query: row.prediction for row in run(first).predictions}
    if choice != "history":  # these samples differ in one number alone
        assert single != answers, "the choice matters"


def test_history_similarity_is_the_mean_over_the_past_texts(plan):
    context = plan("Reranked(Sampled(n=2), by=HistorySimilarity())").executor
    user = context.dataset.test_users[0]  # headline 0 by ann, headline 1 by ann, headline 2 by ann
    texts = [["by ann", "headline 1 by ann", "storm"], ["headline", "headline 9 by bob"]]
    asked = CandidateAnswers(user, [], texts)
    rule = context.spec.method.decoding.by
    ((found, ratings),) = rule.rate(context, [asked])
    assert found is user
    # ROUGE-L F1 of m common words among n and 4: 2 m / (n + 4)
    first = [2 * 2 / 6, (2 * 3 / 8 * 2 + 1) / 3, 0.0]
    assert ratings[0] == pytest.approx(first)
    assert ratings[1] == pytest.approx([2 * 1 / 5, 2 * 2 / 8])


def test_all_users_share_two_calls_of_the_engine(plan, engine, monkeypatch):
    calls = []
    generate, score = engine.generate, engine.score

    def counted(name, real):
        def call(asked):
            calls.append(name)
            return real(asked)

        return call

    monkeypatch.setattr(engine, "generate", counted("generate", generate))
    monkeypatch.setattr(engine, "score", counted("score", score))
    run(plan(f"Reranked(Sampled(n=4), by={CHOICES['reward']})"))
    assert calls == ["generate", "score"]
    assert len(engine.scored) <= 2 * 4 * 5


@pytest.mark.parametrize("after", [6, 24, 30, 50])
def test_a_killed_run_asks_for_nothing_twice(plan, engine, after, capsys):
    decoding = f"Reranked(Sampled(n=4), by={CHOICES['reward']})"
    engine.budget = after
    with pytest.raises(Killed):
        run(plan(decoding))
    engine.budget = None
    resumed = run(plan(decoding))
    asked = len(engine.generated), len(engine.scored)
    folder = execute(plan(decoding, cache="fresh"), "x", resumed.path.parents[3], force=True)
    assert read_run(folder).predictions == resumed.predictions
    whole = len(engine.generated) - asked[0], len(engine.scored) - asked[1]
    assert 0 <= asked[0] - whole[0] <= 3, "samples of one request are asked for together"
    assert asked[1] == whole[1]
    assert "damaged" not in capsys.readouterr().err


def test_n_and_the_choice_count_in_plan_and_cost(plan):
    lengths = Lengths(resolve_model("bundled"))

    def cost(decoding, *settings, **options):
        return answer_cost(plan(decoding, *settings, **options).spec, lengths)

    one, greedy = cost("Sampled()"), cost("Greedy()")
    assert one == greedy
    eight = cost("Reranked(Sampled(n=8), by=HistorySimilarity())")
    assert (eight.read, eight.written) == (8 * one.read, 8 * one.written)
    judged = cost(f"Reranked(Sampled(n=8), by={CHOICES['reward']})")
    assert judged.written == eight.written
    assert judged.read == eight.read + 2 * 8 * (one.read + one.written)
    assert cost(f"Reranked(Sampled(), by={CHOICES['reward']})", "decoding.n=8") == judged
    recorded = run(plan(f"Reranked(Sampled(n=8), by={CHOICES['reward']})"))
    predict = recorded.manifest.stages[-1]
    assert predict.new_tokens == 8 * 3 * len(recorded.predictions)


def test_settings_change_the_key(plan):
    usual = plan(f"Reranked(Sampled(n=4), by={CHOICES['history']})")
    for setting in ("decoding.n=5", "decoding.temperature=0.5", "decoding.top_p=0.5",
                    "choice.metric=rouge1"):  # fmt: skip
        changed = plan(f"Reranked(Sampled(), by={CHOICES['history']})", setting)
        assert changed.folder.name != usual.folder.name, setting


def test_a_metrics_code_counts_in_the_key(plan, planner, tmp_path):
    """A metric of a plugin is edited: what was chosen by it is chosen again."""
    body = (
        "from lampbench.plugin import Metric, register_metric\n"
        "@register_metric('overlap')\n"
        "class Overlap(Metric):\n"
        "    title, better, compares = 'Overlap', 'higher', True\n"
        "    def score(self, answer):\n        return {value}\n"
    )
    keys = []
    for name, value in (("a", 0.5), ("b", 0.25)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "overlap.py").write_text(body.format(value=value))
        method = METHOD.format(
            weights="None",
            decoding="Reranked(Sampled(n=2), by=HistorySimilarity(metric='overlap'))",
        )
        (tmp_path / name / "mine.py").write_text(method)
        keys.append(planner("mine", plugins=[tmp_path / name]).folder.name)
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    ("decoding", "complaint"),
    [
        ("Sampled(n=2)", r"nothing chooses among 2 answers: write decoding = Reranked"),
        ("Sampled(n=3)", r"a predict\(\) of your own .* asks for replace\(request, samples=3\)"),
        ("Reranked(Sampled(n=2))", r"method mine: Reranked needs a criterion"),
        ("Reranked(by=HistorySimilarity(metric='rouge'))", r"no metric .*rouge"),
    ],
)
def test_what_cannot_work_is_told_when_it_is_planned(plan, decoding, complaint):
    with pytest.raises(LampbenchError, match=complaint):
        plan(decoding)


@pytest.mark.parametrize("metric", ["words", "style", "truncated"])
def test_a_metric_that_compares_nothing_cannot_choose(plan, metric):
    with pytest.raises(LampbenchError, match=f"metric {metric} cannot choose answers"):
        run(plan("Reranked(Sampled(n=2), by=HistorySimilarity())", f"choice.metric={metric}"))


def test_a_rating_that_is_no_number_is_named(plan):
    with pytest.raises(LampbenchError, match="Odd rated an answer for user ann with NaN; fix its"):
        run(plan("Reranked(Sampled(n=2), by=Odd())"))


def test_ratings_of_some_answers_only_are_refused(plan):
    said = "Few gave 2 ratings for 3 answers for user ann; fix its"
    with pytest.raises(LampbenchError, match=said):
        run(plan("Reranked(Sampled(n=3), by=Few())"))


def test_min_new_tokens_is_part_of_the_request(planner, engine):
    """TAM's answer gets the token count of OPPU's."""
    run(planner("tam_length"))
    second = [request for request in engine.generated if request.spec.min_new_tokens]
    assert len(second) == 5
    assert {(r.spec.min_new_tokens, r.spec.max_new_tokens, len(r.weights)) for r in second} == {
        (3, 3, 1)
    }
    first = [request for request in engine.generated if not request.spec.min_new_tokens]
    assert {len(request.weights) for request in first} == {2}
    assert replace(second[0].spec, min_new_tokens=0) != first[0].spec
