"""Adapters that the batched engine does not stack: equal to PEFT's own, and kept apart."""

import shutil
from dataclasses import replace

import pytest
import torch

from lampbench.engine.adapter_kind import adapter_kind
from lampbench.engine.divided_engine import DividedEngine
from lampbench.engine.protocol import (
    DoraSpec,
    GenerateRequest,
    GenerationSpec,
    IA3Spec,
    PreferencePair,
    PrefixSpec,
    ScoreRequest,
    SoftPromptSpec,
    SteeringSpec,
)
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import OPTIM, examples, job, no_hook, prompt
from tests.engine.trained import WEIGHTS

SPECS = {
    "DORA": DoraSpec(2, 4, ("q_proj", "v_proj")),
    "PREFIX_TUNING": PrefixSpec(3),
    "PROMPT_TUNING": SoftPromptSpec(3),
    "IA3": IA3Spec(("k_proj", "v_proj", "down_proj"), ("down_proj",)),
    "STEERING": SteeringSpec(0.5, 1.5),
}
PAIRS = tuple(PreferencePair(prompt(i), f"Storm closes {i}", "The old fox") for i in range(4))


@pytest.fixture(scope="module")
def trained(reference, adapters, tmp_path_factory):
    """An adapter of each kind, on top of a task LoRA; and the results of their training."""
    home = tmp_path_factory.mktemp("kinds")
    tam, _, _ = adapters()
    made, results = {}, {}
    for kind, spec in SPECS.items():
        data = PAIRS if kind == "STEERING" else examples()
        asked = job(
            home, kind, adapter=spec, data=data, frozen=(tam,), optim=replace(OPTIM, epochs=3)
        )
        (results[kind],) = reference.train([asked], no_hook)
        made[kind] = asked.output
    return made, results, tam


def answers(engine, weights, n=3, tokens=5):
    asked = [GenerateRequest(f"{i}", prompt(i), weights, GenerationSpec(tokens)) for i in range(n)]
    return [c.token_ids for c in sorted(engine.generate(asked), key=lambda c: int(c.id))]


def logprobs(engine, weights, text="Storm closes harbour"):
    (found,) = engine.score([ScoreRequest("s", prompt(1), text, weights)])
    return torch.tensor(found.logprobs)


@pytest.mark.parametrize("kind", SPECS)
def test_training_changes_the_model_and_is_the_same_again(kind, trained, reference, tmp_path):
    made, results, tam = trained
    assert adapter_kind(made[kind]) == kind
    if kind != "STEERING":
        assert results[kind].losses[-1] < results[kind].losses[0]
    assert not torch.equal(logprobs(reference, (tam, made[kind])), logprobs(reference, (tam,)))
    data = PAIRS if kind == "STEERING" else examples()
    again = job(tmp_path, kind, adapter=SPECS[kind], data=data, frozen=(tam,),
                optim=replace(OPTIM, epochs=3))  # fmt: skip
    list(reference.train([again], no_hook))
    for file in sorted(made[kind].iterdir()):
        assert (again.output / file.name).read_bytes() == file.read_bytes(), file.name
    assert len(list(again.output.iterdir())) == 2


@pytest.mark.parametrize("kind", [kind for kind in SPECS if kind != "STEERING"])
def test_scores_and_answers_equal_pefts_own(kind, trained, reference, merged_model):
    """PEFT reads the saved adapter and runs its own forward pass, without any code of ours."""
    from peft import PeftModel

    made, _, tam = trained
    model = PeftModel.from_pretrained(merged_model("llama", tam), str(made[kind])).eval()
    encoded = reference._encoder.encode_responses("x", prompt(1), ["Storm closes harbour"])
    ids = torch.tensor([[*encoded.prompt, *encoded.responses[0]]])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, -ids.shape[1] :].log_softmax(-1)
    begin = len(encoded.prompt)
    expected = logits[torch.arange(begin - 1, ids.shape[1] - 1), ids[0, begin:]]
    torch.testing.assert_close(
        logprobs(reference, (tam, made[kind])), expected, atol=1e-4, rtol=1e-4
    )
    prompts = [reference._encoder.encode_prompt("x", prompt(i), 200).ids for i in range(3)]
    greedy = []
    for tokens in prompts:
        chosen: list[int] = []
        for _ in range(5):
            with torch.no_grad():
                after = model(input_ids=torch.tensor([[*tokens, *chosen]])).logits[0, -1]
            if int(after.argmax()) in reference._stop:
                break
            chosen.append(int(after.argmax()))
        greedy.append(tuple(chosen))
    assert answers(reference, (tam, made[kind])) == greedy


def test_the_steering_vector_is_the_mean_difference(trained, reference, merged_model):
    """A naive loop over hidden states of transformers, and a naive one that adds the vector."""
    from safetensors.torch import load_file

    made, _, tam = trained
    model = merged_model("llama", tam)
    layers = model.config.num_hidden_layers
    layer = round(0.5 * (layers - 1))
    differences = []
    for pair in PAIRS:
        ends = []
        for text in (pair.chosen, pair.rejected):
            encoded = reference._training_encoder.encode_responses("x", pair.prompt, [text])
            ids = torch.tensor([[*encoded.prompt, *encoded.responses[0][:-1]]])
            with torch.no_grad():
                hidden = model(input_ids=ids, output_hidden_states=True).hidden_states
            ends.append(hidden[layer + 1][0, -1])
        differences.append(ends[0] - ends[1])
    expected = torch.stack(differences).mean(0) * 1.5
    found = load_file(made["STEERING"] / WEIGHTS)["steering_vector"]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)

    encoded = reference._encoder.encode_responses("x", prompt(1), ["Storm closes harbour"])
    ids = torch.tensor([[*encoded.prompt, *encoded.responses[0]]])
    begin = len(encoded.prompt)

    def add(module, inputs, output):
        hidden = output if torch.is_tensor(output) else output[0]
        shift = torch.zeros_like(hidden)
        shift[:, begin - 1 :] = expected
        return hidden + shift if torch.is_tensor(output) else (hidden + shift, *output[1:])

    hook = model.model.layers[layer].register_forward_hook(add)
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0].log_softmax(-1)
    hook.remove()
    scores = logits[torch.arange(begin - 1, ids.shape[1] - 1), ids[0, begin:]]
    torch.testing.assert_close(
        logprobs(reference, (tam, made["STEERING"])), scores, atol=1e-4, rtol=1e-4
    )


def test_a_cached_answer_is_scored_as_it_was_generated(trained, reference):
    made, _, tam = trained
    weights = (tam, made["STEERING"])
    asked = GenerateRequest("q", prompt(2), weights, GenerationSpec(5, min_new_tokens=5))
    (answer,) = reference.generate([asked])
    model = reference._user.with_adapters(weights)
    ids = reference._encoder.encode_prompt("x", prompt(2), 200).ids
    with torch.no_grad():
        logits = model(
            input_ids=torch.tensor([[*ids, *answer.token_ids]]),
            use_cache=False,
            answer_from=len(ids) - 1,
        ).logits[0, len(ids) - 1 : -1]
    logits[:, list(reference._stop)] = -torch.inf
    assert tuple(logits.argmax(-1).tolist()) == answer.token_ids


def test_adapters_of_all_kinds_in_turn_leave_nothing_behind(trained, reference):
    made, _, tam = trained
    before = logprobs(reference, (tam,)), logprobs(reference, ())
    for kind in [*SPECS, *reversed(SPECS)]:
        assert answers(reference, (tam, made[kind]), n=1)
        torch.testing.assert_close(logprobs(reference, (tam,)), before[0], rtol=0, atol=0)
    torch.testing.assert_close(logprobs(reference, ()), before[1], rtol=0, atol=0)


def test_what_cannot_be_stacked_goes_to_the_other_engine(trained, reference, engine):
    made, _, tam = trained
    said: list[str] = []
    divided = DividedEngine(engine(), lambda: reference, said.append)
    weights = [(tam,), (tam, made["IA3"]), (), (tam, made["STEERING"])]
    asked = [
        GenerateRequest(str(n), prompt(n), each, GenerationSpec(4))
        for n, each in enumerate(weights)
    ]
    found = {one.id: one.token_ids for one in divided.generate(asked)}
    assert found == {one.id: one.token_ids for one in reference.generate(asked)}
    list(divided.generate(asked))
    assert [line.split()[3] for line in said] == ["IA3", "STEERING"], "each is said once"
    with pytest.raises(LampbenchError, match=r"of type '(IA3|STEERING)'; only LORA"):
        list(engine().generate(asked))


def test_a_damaged_adapter_is_one_line_and_leaves_nothing_behind(trained, reference, tmp_path):
    made, _, tam = trained
    before = logprobs(reference, (tam,))
    for kind in SPECS:
        broken = shutil.copytree(made[kind], tmp_path / kind)
        (broken / WEIGHTS).write_bytes(b"nothing")
        with pytest.raises(LampbenchError, match=r"damaged .* again$"):
            answers(reference, (tam, broken), n=1)
        torch.testing.assert_close(logprobs(reference, (tam,)), before, rtol=0, atol=0)
