from pathlib import Path

import pytest

from lampbench.execution.runner import execute
from lampbench.record.recorded_run import read_run
from lampbench.record.runs import load_runs
from lampbench.scoring import Scoring, histories, score_predictions
from lampbench.util.errors import LampbenchError

ALL = ["base", "rag", "pag", "tam", "oppu", "cope", "oppu_cd", "oppu_dpo"]


def run(plan, **options):
    return execute(plan, "lampbench run", plan.folder.parents[3], **options)


@pytest.mark.parametrize("method", ALL)
def test_each_method_is_recorded(planner, method, tmp_path):
    folder = run(planner(method))
    runs, problems = load_runs(tmp_path / "results")
    assert not problems
    assert [r.path for r in runs] == [folder]
    queries = [(row.user, row.query) for row in runs[0].predictions]
    assert queries == [
        ("ann", "ann-q0"), ("ann", "ann-q1"), ("bob", "bob-q0"), ("bob", "bob-q1"),
        ("../../mallory", "../../mallory-q0"),
    ]  # fmt: skip
    assert runs[0].manifest.prompt_head == (0, 5, 6)


def test_scores_know_the_history(planner, dataset, tmp_path):
    run(planner("base"))
    ((recorded,), _) = load_runs(tmp_path / "results")
    texts = histories(dataset)
    assert texts["bob"] == ("headline 0 by bob", "headline 1 by bob")
    scoring = Scoring(("style", "history_copy"), histories=texts)
    expected = score_predictions(recorded.predictions, None, scoring)
    found = recorded.scores.columns
    assert {name: found[name] for name in expected.columns} == expected.columns
    described = recorded.manifest.scoring
    assert described is not None and "bleu" in described.signatures


def test_the_stages_of_cope_are_what_the_paper_says(planner, engine, dataset):
    plan = planner("cope")
    names = [stage.name for stage in plan.stages]
    assert names == ["task_sft", "user_sft", "negatives", "lowest_reward", "user_dpo"]
    run(plan)
    tam, *rest = engine.trained
    sft, dpo = rest[:3], rest[3:]
    assert len(tam.data) == sum(len(user.queries) for user in dataset.train_users)
    assert tam.frozen == () and tam.dpo is None
    for job, user in zip(sft, dataset.test_users, strict=True):
        assert [e.response for e in job.data] == [r.target for r in user.history]
        assert len(job.frozen) == 1
    for job, start in zip(dpo, sft, strict=True):
        assert job.dpo.reference == job.frozen == start.frozen, "the reference is TAM, not OPPU"
        assert job.dpo.beta == 3.0
        assert [p.chosen for p in job.data] == [e.response for e in start.data]
    answered = [r for r in engine.generated if r.spec.contrast]
    assert {r.spec.contrast.against for r in answered} == {tuple(sft[0].frozen)}
    assert all(r.weights[0] == sft[0].frozen[0] and len(r.weights) == 2 for r in answered)
    assert {(r.spec.contrast.alpha, r.spec.contrast.tau) for r in answered} == {(0.3, 0.1)}


def test_the_negative_is_the_candidate_with_the_lowest_reward(planner, engine):
    plan = planner("cope")
    run(plan)
    context, recipe = plan.executor, plan.method.adaptation
    for user in context.dataset.test_users:
        rewards = context.get(recipe.negatives, user)["rewards"]
        candidates = context.get(recipe.negatives.samples, user)["texts"]
        assert [len(row) for row in rewards] == [3] * len(user.history)
        expected = [
            texts[min(range(3), key=row.__getitem__)]
            for texts, row in zip(candidates, rewards, strict=True)
        ]
        assert recipe.negatives.texts(context, user) == expected
        job = next(j for j in engine.trained if j.dpo and j.id == user.id)
        assert [p.rejected for p in job.data] == expected
    # The reward is log p_user - log p_base: recompute one from what the engine answered.
    user = context.dataset.test_users[0]
    text = context.get(recipe.negatives.samples, user)["texts"][0][0]
    asked = [r for r in engine.scored if r.response == text][:2]
    assert [len(r.weights) for r in asked] == [2, 1]
    values = [next(engine.score([request])).logprobs for request in asked]
    reward = sum(values[0]) - sum(values[1])
    assert context.get(recipe.negatives, user)["rewards"][0][0] == pytest.approx(reward)


def test_nothing_is_computed_twice(planner, engine):
    run(planner("cope"))
    counts = len(engine.trained), len(engine.generated), len(engine.scored)
    run(planner("cope"))
    assert (len(engine.trained), len(engine.generated), len(engine.scored)) == counts
    run(planner("oppu_dpo"))
    assert len(engine.trained) == counts[0], "the ablation shares every adapter"
    run(planner("cope"), force=True)
    assert len(engine.trained) == counts[0]
    assert len(engine.generated) == counts[1] + 10


@pytest.mark.parametrize("budget", range(0, 60, 7))
def test_killed_anywhere_it_resumes_without_repeating(planner, engine, budget, tmp_path):
    engine.budget = budget
    with pytest.raises(BaseException, match=r"^$") as stopped:
        run(planner("cope"))
    assert type(stopped.value).__name__ == "Killed"
    runs, problems = load_runs(tmp_path / "results")
    assert not runs and not problems
    engine.budget = None
    before = engine.generated.copy(), engine.scored.copy(), engine.trained.copy()
    folder = run(planner("cope"))
    assert len(engine.trained) == 7
    assert len({(j.id, j.output) for j in engine.trained}) == 7
    samples = 7 * 3
    asked_again = 2 if before[0] else 0  # a record's samples are asked for together
    assert samples + 5 <= len(engine.generated) <= samples + 5 + asked_again
    scored = {(r.id.partition(" ")[0], r.response, r.weights) for r in engine.scored}
    assert len(engine.scored) == len(scored) > samples, "each text once, under both models"
    whole = read_run(folder).manifest.files
    fresh = run(planner("cope", cache="fresh"), force=True)
    assert read_run(fresh).manifest.files == whole


def test_user_ids_never_become_paths(planner, tmp_path):
    run(planner("cope"))
    assert not list(tmp_path.parent.glob("*mallory*"))
    assert not list(tmp_path.rglob("*mallory*"))


def test_a_method_may_override_predict_alone(planner, tmp_path):
    plugin = tmp_path / "echo.py"
    plugin.write_text(
        "from lampbench.plugin import Method, Prediction, register_method\n"
        "@register_method('echo')\n"
        "class Echo(Method):\n"
        "    def predict(self, context, users):\n"
        "        for user in users:\n"
        "            for query in user.queries:\n"
        "                yield Prediction(user.id, query.id, user.history[-1].target)\n"
    )
    folder = run(planner("echo", plugins=[plugin]))
    assert read_run(folder).predictions[0].prediction == "headline 2 by ann"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("yield Prediction('ann', 'nobody', '')", "unknown query 'nobody'"),
        ("yield from [Prediction('ann', 'ann-q0', '')] * 2", "two predictions for query"),
        ("yield Prediction('ann', 'ann-q0', '')", "no prediction for 4 queries"),
        ("yield Prediction('ann', 'ann-q0', 7)", "with 7, which is not text"),
        ("yield None", "returned None, which is not a Prediction"),
        ("yield users[0].nothing", r"failed in Wrong.predict\(\) at .*wrong.py:5: AttributeError"),
        ("return 3", r"predict\(\) of method wrong returned 3: make it yield one Prediction"),
    ],
)
def test_a_wrong_predict_is_named(planner, tmp_path, body, complaint):
    plugin = tmp_path / "wrong.py"
    plugin.write_text(
        "from lampbench.plugin import Method, Prediction, register_method\n"
        "@register_method('wrong')\n"
        "class Wrong(Method):\n"
        f"    def predict(self, context, users):\n        {body}\n"
    )
    with pytest.raises(LampbenchError, match=complaint):
        run(planner("wrong", plugins=[plugin]))
    assert not list(Path(tmp_path / "results").rglob("manifest.json"))


def test_costs_of_cached_stages_are_kept(planner):
    first = read_run(run(planner("oppu"))).manifest.stages
    second = read_run(run(planner("oppu_cd"))).manifest.stages
    assert [s.cached for s in first] == [0, 0, 0]
    assert [s.cached for s in second] == [1, 3, 0]
    for stage in ("task_sft", "user_sft"):
        one = next(s for s in first if s.stage == stage)
        two = next(s for s in second if s.stage == stage)
        assert one.trained_tokens == two.trained_tokens > 0
        assert one.seconds == two.seconds


@pytest.mark.parametrize(("steps", "said"), [(1, True), (2, False)])
def test_a_training_that_cannot_learn_says_so(planner, engine, capsys, steps, said):
    engine.steps = steps
    run(planner("tam"))
    assert ("nothing was learned" in capsys.readouterr().err) is said


def test_requests_are_named_after_their_query(planner, engine):
    run(planner("base"))
    assert {request.id.partition(" ")[0] for request in engine.generated} == {
        "ann-q0", "ann-q1", "bob-q0", "bob-q1", "../../mallory-q0",
    }  # fmt: skip
