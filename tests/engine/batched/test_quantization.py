"""Quantised weights: LoRA beside them, as QLoRA trains, and never a change to them.

bitsandbytes also runs on the CPU, where these tests are; its CUDA kernels are not tested here.
"""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from lampbench.engine.load_model import _keep_layout
from lampbench.engine.model_arguments import ModelArguments
from lampbench.engine.protocol import (
    Contrast,
    DPOSpec,
    GenerateRequest,
    GenerationSpec,
    ScoreRequest,
)
from tests.engine.engine_inputs import (
    OPTIM,
    TASK_LORA,
    USER_LORA,
    job,
    no_hook,
    preferences,
    prompt,
)
from tests.engine.tiny_models import load_engine

pytestmark = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="needs pip install 'lampbench[quantization]'"
)


@pytest.fixture(scope="module")
def quantised(model_folder):
    made = {}

    def get(kind):
        if kind not in made:
            arguments = ModelArguments(quantization=kind)
            made[kind] = load_engine(model_folder("llama"), arguments=arguments)
        return made[kind]

    return get


def quantised_weights(engine):
    """Bytes of the quantised weights, by layer."""
    return {
        name: module.weight.detach().clone()
        for name, module in engine._model.named_modules()
        if hasattr(module, "in_features") and not module.weight.is_floating_point()
    }


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_cope_beside_quantised_weights(quantised, tmp_path, kind):
    """TAM, OPPU, DPO and contrastive answers: losses fall, and no quantised byte changes."""
    made = quantised(kind)
    before = quantised_weights(made)
    assert len(before) == 14  # seven linear layers in each of two
    tam = job(tmp_path, "tam", lora=TASK_LORA)
    oppu = job(tmp_path, "oppu", frozen=(tam.output,))
    for each in (tam, oppu):
        (result,) = made.train([each], no_hook)
        assert result.losses[-1] < result.losses[0]
    base, user = (tam.output,), (tam.output, oppu.output)
    cope = job(tmp_path, "cope", data=preferences(3), frozen=base, start=oppu.output,
               lora=replace(USER_LORA, dropout=0.0), optim=replace(OPTIM, epochs=6),
               dpo=DPOSpec(0.1, base))  # fmt: skip
    (result,) = made.train([cope], no_hook)
    assert result.losses[-1] < result.losses[0]
    spec = GenerationSpec(6, 1.2, contrast=Contrast(base, 0.3, 0.1))
    requests = [GenerateRequest(str(n), prompt(n), user, spec) for n in range(3)]
    assert len(list(made.generate(requests))) == 3
    after = quantised_weights(made)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_log_probabilities_are_those_of_peft(quantised, model_folder, tmp_path, kind):
    """The stacked LoRA adds to a quantised layer what PEFT's own quantised LoRA layer adds."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    made = quantised(kind)
    oppu = job(tmp_path, "oppu")
    list(made.train([oppu], no_hook))
    asked = ScoreRequest("s", prompt(1), "Storm closes harbour", (oppu.output,))
    (found,) = made.score([asked])
    config = made._model.config.quantization_config
    plain = AutoModelForCausalLM.from_pretrained(
        model_folder("llama"), quantization_config=config, device_map={"": "cpu"}
    )
    _keep_layout(plain)  # or it would answer with rounded scales
    adapted = PeftModel.from_pretrained(plain, str(oppu.output)).eval()
    encoded = made._encoder.encode_responses("s", asked.prompt, [asked.response])
    ids = torch.tensor([[*encoded.prompt, *encoded.responses[0]]])
    with torch.no_grad():
        logs = adapted(input_ids=ids).logits.float().log_softmax(-1)[0]
    begin = len(encoded.prompt) - 1
    expected = [float(logs[begin + i, token]) for i, token in enumerate(encoded.responses[0])]
    assert found.logprobs == pytest.approx(expected, abs=1e-4 if kind == "4bit" else 5e-2)


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_answers_before_training_change_nothing(quantised, tmp_path, kind):
    """A layer that has answered still passes gradients on to the layers before it."""
    made = quantised(kind)
    before, after = (job(tmp_path, name, lora=TASK_LORA) for name in ("before", "after"))
    (first,) = made.train([before], no_hook)
    asked = [GenerateRequest("q", prompt(), (before.output,), GenerationSpec(4))]
    (one,) = made.generate(asked)
    (second,) = made.train([after], no_hook)
    assert first.losses == second.losses
    weights = [path.output / "adapter_model.safetensors" for path in (before, after)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert [one.token_ids] == [found.token_ids for found in made.generate(asked)]


def test_quantised_answers_are_other_answers(quantised, engine):
    """Otherwise the tests above would pass without quantisation."""
    asked = [ScoreRequest("s", prompt(1), "Storm closes harbour", ())]
    (plain,), (four,) = (list(e.score(asked)) for e in (engine(), quantised("4bit")))
    assert max(abs(a - b) for a, b in zip(plain.logprobs, four.logprobs, strict=True)) > 1e-2
