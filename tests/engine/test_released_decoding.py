"""CoPe under `--fidelity reference`: what its released code decodes, on that code's own prompts."""

import json
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pytest
import torch

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.fidelity import PAPER, REFERENCE
from lampbench.data.write_dataset import write_dataset
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.engine.models import resolve_model
from lampbench.engine.prompt_encoder import PromptEncoder
from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec
from lampbench.engine.reference.engine import ReferenceEngine
from lampbench.execution.options import RunOptions, engine_pool, grid_plans
from lampbench.execution.runner import execute
from lampbench.record.runs import load_runs
from lampbench.util.progress import Progress
from tests.engine.engine_inputs import prompt
from tests.engine.hub_templates import HEADERS, HUB_TEMPLATES, released_ids, with_hub_template
from tests.engine.plain_peft import greedy_loop
from tests.engine.tiny_models import CONTEXT, FAMILIES, tokenizer

NAMES = sorted(HUB_TEMPLATES)
ENDS = {"llama": "<|eot_id|>", "gemma": "<end_of_turn>\n", "qwen": "<|im_end|>\n"}
ALPHA, TAU, PENALTY, BUDGET = 0.2, 0.1, 1.3, 6
TINY = [
    "task_sft.rank=2", "task_sft.epochs=1", "task_sft.batch_size=1", "task_sft.learning_rate=0.1",
    "user_sft.rank=2", "user_sft.epochs=1", "user_sft.batch_size=1", "user_sft.learning_rate=0.1",
    "user_dpo.epochs=1", "user_dpo.batch_size=1", "user_dpo.learning_rate=0.1",
    "negatives.n=2", "negatives.max_new_tokens=4", f"decoding.max_new_tokens={BUDGET}",
    f"decoding.repetition_penalty={PENALTY}", f"decoding.tau={TAU}", f"decoding.alpha={ALPHA}",
]  # fmt: skip


@pytest.fixture(scope="module")
def hub_folder(model_folder, tmp_path_factory):
    @cache
    def get(name):
        target = tmp_path_factory.mktemp("hub") / name
        return with_hub_template(model_folder(name), name, target)

    return get


@torch.no_grad()
def released_answer(user, base, ids, stop):
    """The released loop in its own terms: renormalised head, log(p + 1e-8), penalty on scores."""

    def step(ids):
        p = user(ids, use_cache=False).logits[0, -1].softmax(-1)
        q = base(ids, use_cache=False).logits[0, -1].softmax(-1)
        head = p * (p >= TAU * p.max())
        scores = (head / (head.sum() + 1e-8) + 1e-8).log() - ALPHA * (q + 1e-8).log()
        seen = ids[0].unique()
        old = scores[seen]
        scores[seen] = torch.where(old < 0, old * PENALTY, old / PENALTY)
        return int(scores.argmax())

    return greedy_loop(ids, stop, BUDGET, step)


@pytest.mark.parametrize("name", NAMES)
def test_the_prompt_lacks_the_assistants_header_alone(name):
    tokens = tokenizer(FAMILIES[name])
    tokens.chat_template = HUB_TEMPLATES[name]
    asked = prompt()
    for fidelity in (PAPER, REFERENCE):
        encoder = PromptEncoder(tokens, None, CONTEXT, fidelity)
        opened = encoder.encode_prompt("q", asked, CONTEXT).ids
        bare = encoder.encode_prompt("q", asked, CONTEXT, generation_prompt=False).ids
        header = tokens(HEADERS[name], add_special_tokens=False)["input_ids"]
        assert opened == (*bare, *header)
        assert tokens.decode(bare).endswith(f"headline:{ENDS[name]}")
    assert list(bare) == released_ids(tokens, asked.system, asked.text)


@pytest.mark.parametrize("kind", [BatchedEngine, ReferenceEngine])
@pytest.mark.parametrize("name", NAMES)
def test_answers_without_the_header_are_the_released_loops(
    hub_folder, merged_model, adapters, name, kind
):
    """Every answer follows the released loop, and the header changes some of them."""
    tam, *users = adapters(name)
    engine = kind(
        resolve_model(str(hub_folder(name))), device="cpu", dtype="float32", chat_template=None,
        fidelity=REFERENCE,
    )  # fmt: skip
    spec = GenerationSpec(BUDGET, PENALTY, contrast=Contrast((tam,), ALPHA, TAU, log_eps=1e-8))
    bare = [
        GenerateRequest(f"{u}/{n}", prompt(n), (tam, user), spec, generation_prompt=False)
        for u, user in enumerate(users) for n in range(4)
    ]  # fmt: skip
    opened = [replace(one, generation_prompt=True) for one in bare]
    answers, others = (
        {one.id: one.token_ids for one in engine.generate(each)} for each in (bare, opened)
    )
    tokens = engine._encoder.tokenizer
    for one in bare:
        ids = released_ids(tokens, one.prompt.system, one.prompt.text)
        user, base = merged_model(name, *one.weights), merged_model(name, tam)
        assert answers[one.id] == released_answer(user, base, ids, engine._stop), one.id
    assert answers != others


LITERAL = {
    "news_headline": (
        {"text": "The storm reached the  coast."},
        "You are a news headline generator.",
        "Generate a headline for the following article.\narticle: The storm reached the  coast."
        "\nheadline:",
    ),
    "scholarly_title": (
        {"abstract": "The storm closed the town."},
        "You are a scholarly title generator.",
        "Generate a title for the following abstract of a paper.\n abstract: The storm closed the "
        "town. title:",
    ),
    "abstract_generation": (
        {"title": "The old bridge"},
        "You are an abstract writer.",
        "Generate an abstract for the title 'The old bridge'.\nAbstract:",
    ),
    "review_writing": (
        {"rating": "4.0", "description": "A fox", "summary": "old"},
        "You are a review writer.",
        "Generate the review text written by a reviewer who has a given an overall rating of "
        '"4.0" for a product with description "A fox". The summary of the review text is "old".\n'
        "Review:",
    ),
    "topic_writing": (
        {"summary": "The harbour on Monday"},
        "You are a creative content generator for Reddit posts.",
        "Generate the content for a reddit post \npost: The harbour on Monday\ncontent:",
    ),
}
"""Fields of a query, and the released code's system message and prompt for it (prompt.json)."""


def person(name, fields, records):
    """Records and queries that differ in their first field's last words."""
    (field, text), *_ = fields.items()
    history = [Record(f"{name}{i}", fields | {field: f"{text} {i}"}, f"{name} {i}: {text}")
               for i in range(records)]  # fmt: skip
    return User(name, tuple(history), (Query(f"{name}-q", fields, "Storm closes harbour"),))


@pytest.mark.parametrize(
    ("name", "task"),
    [("llama", task) for task in LITERAL] + [("gemma", "topic_writing"), ("qwen", "topic_writing")],
)
def test_a_recorded_run_answers_the_released_prompt_with_the_released_loop(
    hub_folder, merged_model, tmp_path, name, task
):
    fields, system, text = LITERAL[task]
    tested = (person("ann", fields, 2), person("bob", fields, 3))
    others = tuple(person(who, fields, 0) for who in ("cy", "di", "ed"))
    write_dataset(Dataset(task, "made up", others, tested, synthetic=True), tmp_path / "data")
    options = RunOptions(
        methods=["cope", "oppu_dpo", "tam"], tasks=[task], models=[str(hub_folder(name))],
        data=f"lampbench:{tmp_path / 'data'}", assignments=TINY, device="cpu",
        cache_dir=tmp_path / "cache", fidelity="reference",
    )  # fmt: skip
    pool = engine_pool(options, Progress())
    for _, plan in grid_plans(options, [{}], tmp_path / "results", pool):
        execute(plan, "lampbench run", tmp_path / "results")
    runs, _ = load_runs(tmp_path / "results")
    rows = {run.manifest.method: run.predictions for run in runs}
    divided: Any = pool.get(str(hub_folder(name))).engine
    engine = divided.batched
    tokens = engine._encoder.tokenizer
    assert all(run.manifest.model_details.batching == engine.batching for run in runs)
    ids = released_ids(tokens, system, text)
    header = len(tokens(HEADERS[name], add_special_tokens=False)["input_ids"])
    assert {row.prompt_tokens for row in (*rows["cope"], *rows["oppu_dpo"])} == {len(ids)}
    assert {row.prompt_tokens for row in rows["tam"]} == {len(ids) + header}

    merged = cache(partial(merged_model, name))
    for row in rows["cope"]:
        (tam,) = _stored(tmp_path / "cache", "task_sft", None)
        (dpo,) = _stored(tmp_path / "cache", "user_dpo", row.user)
        new = released_answer(merged(tam, dpo), merged(tam), ids, engine._stop)
        assert row.prediction == tokens.decode(new, skip_special_tokens=True).strip()


def _stored(home, kind, owner):
    metas = [json.loads(file.read_text()) | {"at": file.parent / "adapter"}
             for file in (home / kind).glob("*/meta.json")]  # fmt: skip
    return [meta["at"] for meta in metas if meta["owner"] == owner]
