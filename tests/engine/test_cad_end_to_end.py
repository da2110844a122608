"""Context-aware decoding as it is declared, from data files to a record, equal to a naive loop."""

import pytest
import torch

from lampbench.execution.options import RunOptions, engine_pool, grid_plans
from lampbench.execution.runner import execute
from lampbench.plugin.prompting import Plain
from lampbench.record.recorded_run import read_run
from lampbench.util.progress import Progress
from tests.engine.test_methods_end_to_end import data  # noqa: F401 (a fixture)

BUDGET, STRENGTH = 8, 0.5


def log_p(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0, -1].double().log_softmax(-1)


@pytest.fixture
def cad(model_folder, data, tmp_path):  # noqa: F811
    asked = RunOptions(
        methods=["cad"], tasks=["news_headline"], models=[str(model_folder("llama"))],
        data=f"lampbench:{data}", device="cpu", cache_dir=tmp_path / "cache",
        assignments=["prompting.k=2", f"decoding.max_new_tokens={BUDGET}",
                     "decoding.repetition_penalty=1.0"],
    )  # fmt: skip
    ((_, plan),) = grid_plans(asked, [{}], tmp_path / "results", engine_pool(asked, Progress()))
    return plan, tmp_path / "results"


def looped(model, prompts, strength, stop):
    """Tokens of the highest (1 + a) log p_own - a log p_away, each from whole sequences."""
    own, away = (list(ids) for ids in prompts)
    chosen: list[int] = []
    for _ in range(BUDGET):
        score = (1 + strength) * log_p(model, own) - strength * log_p(model, away)
        token = int(score.argmax())
        if token in stop:
            break
        for ids in (own, away, chosen):
            ids.append(token)
    return tuple(chosen)


def test_the_method_equals_a_loop_of_two_prompts_token_by_token(cad, engine, merged_model):
    plan, results = cad
    rows = {row.query: row for row in read_run(execute(plan, "a test", results)).predictions}
    context, model, made = plan.executor, merged_model("llama"), engine("llama")
    changed = 0
    for user in context.dataset.test_users:
        for query in user.queries:
            both = (context.prompt(user, query), Plain().render(context, user, query))
            prompts = [made._encoder.encode_prompt("q", each, 400).ids for each in both]
            chosen = looped(model, prompts, STRENGTH, made._stop)
            changed += chosen != looped(model, prompts, 0.0, made._stop)
            assert rows[query.id].prediction == made._encoder.decode(chosen).strip()
            assert rows[query.id].prompt_tokens == len(prompts[0])
    assert len(rows) == 4 and changed, "the second prompt matters"
