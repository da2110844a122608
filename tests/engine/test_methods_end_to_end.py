"""All six methods and two ablations, from data files to recorded runs, on each architecture."""

import functools
import json

import pytest
import torch

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.data.write_dataset import write_dataset
from lampbench.engine.models import resolve_model
from lampbench.execution.options import RunOptions, engine_pool, grid_plans
from lampbench.execution.runner import execute
from lampbench.record.runs import load_runs
from lampbench.util.progress import Progress
from tests.engine.engine_inputs import MODELS
from tests.engine.plain_peft import greedy_loop

METHODS = ["base", "rag", "pag", "tam", "oppu", "cope", "oppu_cd", "oppu_dpo"]
PLACES = ["coast", "harbour", "bridge", "town", "storm"]
TINY = [
    # batches of one: the only step of a job would have rate zero, as warm-up begins there
    "task_sft.rank=2", "task_sft.epochs=1", "task_sft.batch_size=1", "task_sft.learning_rate=0.1",
    "user_sft.rank=2", "user_sft.epochs=1", "user_sft.batch_size=1", "user_sft.learning_rate=0.1",
    "user_dpo.epochs=1", "user_dpo.batch_size=1", "user_dpo.learning_rate=0.1",
    "negatives.n=2", "negatives.max_new_tokens=4",
    "profile.records=2", "profile.max_new_tokens=4", "prompting.k=1",
    "decoding.max_new_tokens=4", "decoding.repetition_penalty=1.2",
]  # fmt: skip
ALPHA, TAU, PENALTY, BUDGET = 0.3, 0.1, 1.2, 4


def person(name, records):
    history = tuple(
        Record(f"{name}{i}", {"text": f"The {PLACES[i]} closed."}, f"{name} on the {PLACES[i]}")
        for i in range(records)
    )
    asked = tuple(
        Query(f"{name}-q{i}", {"text": f"The old {PLACES[-i]} reached Monday."}, f"Old {PLACES[i]}")
        for i in range(2)
    )
    return User(name, history, asked)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dataset in lampbench's own layout."""
    folder = tmp_path_factory.mktemp("data") / "news_headline"
    others = tuple(person(name, 0) for name in ("cy", "di", "ed"))
    tested = (person("ann", 3), person("bob", 2))
    write_dataset(Dataset("news_headline", "made up", others, tested, synthetic=True), folder)
    return folder


@pytest.fixture
def planned(model_folder, data, tmp_path):
    """Plans of all methods on a model, by method."""

    def plan(name, **options):
        options_of_run = RunOptions(
            methods=METHODS, tasks=["news_headline"], models=[str(model_folder(name))],
            data=f"lampbench:{data}", assignments=TINY, device="cpu", cache_dir=tmp_path / "cache",
            **options,
        )  # fmt: skip
        pool = engine_pool(options_of_run, Progress())
        made = grid_plans(options_of_run, [{}], tmp_path / "results", pool)
        return {each.method.name: each for _, each in made}

    return plan


def recorded(todo, results):
    for plan in todo.values():
        execute(plan, "lampbench run", results)
    runs, problems = load_runs(results)
    assert not problems
    return {run.manifest.method: run for run in runs}


def stored(cache, user):
    """The adapters that a user's answers come from, found in the cache by kind and owner."""

    def find(kind, owner):
        metas = [file for file in (cache / kind).glob("*/meta.json")
                 if json.loads(file.read_text())["owner"] == owner]  # fmt: skip
        (meta,) = metas
        return meta.parent / "adapter"

    kinds = (("task_sft", None), ("user_sft", user.id), ("user_dpo", user.id))
    return [find(*each) for each in kinds]


def rendered(model_folder, name, template, text):
    """The prompt's token ids by transformers alone, with what the engine may add.

    That is the BOS, and the system message in front of the user's if the template takes none.
    """
    from transformers import AutoTokenizer

    from lampbench.engine.chat_template import load_chat_template

    tokens = AutoTokenizer.from_pretrained(model_folder(name))
    system = "You are a news headline generator."
    user = f"Generate a headline for the following article.\narticle: {text}\nheadline:"
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    if template is None and name not in ("llama", "qwen"):
        messages = [{"role": "user", "content": f"{system}\n\n{user}"}]
    whole = str(
        tokens.apply_chat_template(
            messages,
            chat_template=template and load_chat_template(template),
            tokenize=False,
            add_generation_prompt=True,
            date_string="26 Jul 2024",
        )
    ).lstrip()
    if template == "mistral":
        whole = tokens.bos_token + whole
    return tokens, tokens(whole, add_special_tokens=False)["input_ids"]


@torch.no_grad()
def probabilities(model, ids):
    return model(ids, use_cache=False).logits[0, -1].double().softmax(-1)


def penalised(scores, ids):
    seen = torch.zeros_like(scores, dtype=torch.bool)
    seen[ids[0]] = True
    return torch.where(seen, torch.where(scores < 0, scores * PENALTY, scores / PENALTY), scores)


@pytest.mark.parametrize("own", [True, False], ids=["own", "paper"])
@pytest.mark.parametrize("name", MODELS)
def test_every_method_is_recorded_and_decodes_as_a_plain_loop(
    planned, model_folder, merged_model, tmp_path, name, own
):
    """The recorded texts, compared with PEFT's merges of the stored adapters, in probabilities."""
    template = None if own else name.removesuffix("-vision")
    todo = planned(name, chat_template=template)
    runs = recorded(todo, tmp_path / "results")
    assert sorted(runs) == sorted(METHODS)
    for method, run in runs.items():
        asked = [(row.user, row.query) for row in run.predictions]
        assert asked == [("ann", "ann-q0"), ("ann", "ann-q1"), ("bob", "bob-q0"), ("bob", "bob-q1")]
        assert run.manifest.model == resolve_model(str(model_folder(name))).name
        assert len(run.manifest.prompt_head) == 8, method
    answers = {method: [r.prediction for r in run.predictions] for method, run in runs.items()}

    merged = functools.cache(functools.partial(merged_model, name))
    tested = todo["cope"].spec.dataset.test_users
    queries = [(user, query) for user in tested for query in user.queries]
    for n, (user, query) in enumerate(queries):
        tokens, ids = rendered(model_folder, name, template, query.fields["text"])
        # the paper's template for Gemma ends a turn with <eos>, the model's own does not
        ends = {tokens.eos_token, "<|eot_id|>", *(["<end_of_turn>"] if own else [])}
        stop = {i for i in map(tokens.convert_tokens_to_ids, ends) if i is not None}
        assert runs["cope"].predictions[n].prompt_tokens == len(ids)
        tam, oppu, cope = stored(tmp_path / "cache", user)
        weights = {"base": (), "tam": (tam,), "oppu": (tam, oppu), "cope": (tam, cope)}
        models = {method: merged(*each) for method, each in weights.items()}

        def greedy(model, ids=ids, stop=stop):
            return greedy_loop(
                ids,
                stop,
                BUDGET,
                lambda t: penalised(probabilities(model, t).log(), t).argmax().item(),
            )

        def contrast(model, tam=models["tam"], ids=ids, stop=stop):
            def step(ids):
                p_user, p_base = probabilities(model, ids), probabilities(tam, ids)
                reward = p_user.log() - ALPHA * p_base.log()
                reward[p_user < TAU * p_user.max()] = -torch.inf
                return penalised(reward, ids).argmax().item()

            return greedy_loop(ids, stop, BUDGET, step)

        expected = {
            "base": greedy(models["base"]), "tam": greedy(models["tam"]),
            "oppu": greedy(models["oppu"]), "oppu_dpo": greedy(models["cope"]),
            "oppu_cd": contrast(models["oppu"]), "cope": contrast(models["cope"]),
        }  # fmt: skip
        for method, new in expected.items():
            text = tokens.decode(new, skip_special_tokens=True).strip()
            assert answers[method][n] == text, (method, query.id)
    assert len({tuple(texts) for texts in answers.values()}) >= 4


@pytest.mark.parametrize("name", ["llama", "gemma"])
def test_the_negative_has_the_lowest_reward(planned, model_folder, merged_model, tmp_path, name):
    """Equation 5 on the stored candidates: the product of p_user / p_tam over their tokens."""
    todo = planned(name)
    recorded({"cope": todo["cope"]}, tmp_path / "results")
    context, tune = todo["cope"].executor, todo["cope"].method.adaptation
    end = {"llama": "<|eot_id|>", "gemma": "<end_of_turn>"}[name]
    for user in context.dataset.test_users:
        stack = stored(tmp_path / "cache", user)
        tam, oppu = merged_model(name, *stack[:1]), merged_model(name, *stack[:2])
        candidates = context.get(tune.negatives.samples, user)["texts"]
        for i, (record, texts) in enumerate(zip(user.history, candidates, strict=True)):
            tokens, ids = rendered(model_folder, name, None, record.fields["text"])
            rewards = []
            for text in texts:
                answer = tokens(text + end, add_special_tokens=False)["input_ids"]
                logs = [
                    probabilities(model, torch.tensor([ids + answer[:n]]))[token].log()
                    for model in (oppu, tam) for n, token in enumerate(answer)
                ]  # fmt: skip
                rewards.append(float(sum(logs[: len(answer)]) - sum(logs[len(answer) :])))
            found = context.get(tune.negatives, user)["rewards"][i]
            assert found == pytest.approx(rewards, abs=1e-3)
            assert tune.negatives.texts(context, user)[i] == texts[rewards.index(min(rewards))]


@pytest.mark.parametrize("name", MODELS)
def test_every_method_runs_as_the_reference_code_would(planned, model_folder, tmp_path, name):
    runs = recorded(planned(name, fidelity="reference"), tmp_path / "results")
    assert sorted(runs) == sorted(METHODS)
    bos = {"llama": 2, "mistral": 2, "gemma": 2, "gemma-vision": 2, "qwen": 0}[name]
    for run in runs.values():
        assert run.manifest.fidelity == "reference"
        assert run.manifest.prompt_head.count(0) == bos  # the tiny tokenizers' first token


def test_nothing_is_trained_twice_for_another_method(planned, tmp_path):
    """Four methods share one TAM, three the same user adapters, two the same DPO."""
    runs = recorded(planned("llama"), tmp_path / "results")
    users = dict.fromkeys(("user_sft", "negatives", "lowest_reward", "user_dpo", "profile"), 2)
    cache = tmp_path / "cache"
    made = {kind: len(list((cache / kind).iterdir())) for kind in users}
    assert made == users
    assert len(list((cache / "task_sft").iterdir())) == 1
    stages = {stage.stage: stage.cached for stage in runs["oppu_dpo"].manifest.stages}
    assert stages["user_dpo"] == 2
    assert not [file for file in (cache / "partial").rglob("*") if file.is_file()]
