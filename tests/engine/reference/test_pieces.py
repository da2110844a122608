"""Gates and the pieces that they choose, compared with naive loops over layers of transformers."""

import math
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from lampbench.engine.adapter_files import read_adapter
from lampbench.engine.adapter_kind import adapter_kind
from lampbench.engine.protocol import GateSpec, PiecesSpec, ScoreRequest
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import OPTIM, USER_LORA, examples, job, no_hook, prompt
from tests.engine.trained import WEIGHTS

LEARNING = replace(OPTIM, learning_rate=0.2, epochs=4)  # a LoRA that gates can matter for
GATING = replace(OPTIM, epochs=4)
CHOOSING = replace(OPTIM, learning_rate=0.0, batch_size=2)


@pytest.fixture(scope="module")
def sharers(reference, adapters, tmp_path_factory):
    """The task's LoRA, and a LoRA with its gates for each of four sharers."""
    home = tmp_path_factory.mktemp("sharers")
    tam, *_ = adapters()
    loras, gates = [], []
    for number in range(4):
        data = examples(6)[number : number + 3]
        lora = job(home, f"lora{number}", frozen=(tam,), data=data, seed=number,
                   optim=LEARNING)  # fmt: skip
        list(reference.train([lora], no_hook))
        gate = job(home, f"gate{number}", frozen=(tam, lora.output), data=data,
                   adapter=GateSpec(), optim=GATING)  # fmt: skip
        (result,) = reference.train([gate], no_hook)
        assert result.losses[-1] < result.losses[0]
        loras.append(lora.output)
        gates.append(gate.output)
    return tam, loras, gates


def assembling(home, sharers, name="user", **options):
    tam, loras, gates = sharers
    spec = PiecesSpec(tuple(zip(loras, gates, strict=True)), k=2, temperature=0.5)
    data = examples(5)
    return job(home, name, **{"frozen": (tam,), "data": data, "adapter": spec, "optim": CHOOSING}
               | options)  # fmt: skip


def test_gates_are_trained_alone_and_make_nothing_else_of_the_lora(sharers, reference, tmp_path):
    """One step on one example, with the gradient of a naive forward pass."""
    tam, loras, _ = sharers
    before = (loras[0] / WEIGHTS).read_bytes()
    optim = replace(OPTIM, epochs=1, batch_size=1, warmup_ratio=0.0, max_grad_norm=0.0,
                    weight_decay=0.0)  # fmt: skip
    asked = job(tmp_path, "one", frozen=(tam, loras[0]), data=examples(1), adapter=GateSpec(),
                optim=optim)  # fmt: skip
    (result,) = reference.train([asked], no_hook)
    assert adapter_kind(asked.output) == "GATES"
    gates = load_file(asked.output / WEIGHTS)
    found = read_adapter(loras[0], reference._pristine, reference._base)
    assert gates.keys() == found.matrices.keys()

    model = reference._user.merged((tam,))
    naive = {name: torch.zeros(len(gate), requires_grad=True) for name, gate in gates.items()}

    def add(name, module, inputs, out):
        first, second = found.matrices[name]
        x = inputs[0] * torch.sigmoid((inputs[0] * naive[name]).sum(-1, keepdim=True))
        return out + x @ first.T @ second.T * USER_LORA.alpha / USER_LORA.rank

    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda module, inputs, out, name=name: add(name, module, inputs, out)
        )
        for name in naive
    ]
    example = examples(1)[0]
    encoded = reference._training_encoder.encode_responses("x", example.prompt, [example.response])
    ids = torch.tensor([[*encoded.prompt, *encoded.responses[0]]])
    begin = len(encoded.prompt)
    logs = model(input_ids=ids).logits[0].log_softmax(-1)
    loss = -logs[torch.arange(begin - 1, ids.shape[1] - 1), ids[0, begin:]].mean()
    loss.backward()
    for hook in hooks:
        hook.remove()
    assert result.losses == pytest.approx((float(loss.detach()),), rel=1e-5)
    for name, gate in gates.items():  # Adam's first step is the sign of the gradient
        gradient = naive[name].grad
        assert gradient is not None
        clear = gradient.abs() > 1e-5
        assert clear.any()
        expected = -optim.learning_rate * gradient.sign()
        torch.testing.assert_close(gate[clear], expected[clear], rtol=2e-2, atol=0)
    assert (loras[0] / WEIGHTS).read_bytes() == before


def test_pieces_are_chosen_layer_by_layer_as_by_a_naive_loop(sharers, reference, tmp_path):
    asked = assembling(tmp_path, sharers)
    (result,) = reference.train([asked], no_hook)
    assert result.steps == 0 and adapter_kind(asked.output) == "LORA"
    assembled = read_adapter(asked.output, reference._pristine, reference._base)

    tam, loras, gates = sharers
    files = [read_adapter(path, reference._pristine, reference._base) for path in loras]
    vectors = [load_file(path / WEIGHTS) for path in gates]
    changes = {
        name: [2 * file.matrices[name][1] @ file.matrices[name][0] for file in files]  # alpha / r
        for name in files[0].matrices
    }
    model = reference._user.merged((tam,))
    shares = {name: torch.zeros(4) for name in changes}
    encoded = [
        reference._training_encoder.encode_responses("x", one.prompt, [one.response])
        for one in examples(5)
    ]
    for batch in (encoded[:2], encoded[2:4], encoded[4:]):
        chosen: dict[str, torch.Tensor] = {}
        for name in changes:  # in the model's order: each layer sees what was chosen before it
            means = torch.stack([score_of_one(model, name, each, vectors, chosen, changes)
                                 for each in batch]).mean(0)  # fmt: skip
            best = means.topk(2).indices
            weights = torch.zeros(4)
            weights[best] = torch.softmax(means[best] / 0.5, 0)
            chosen[name] = weights
            shares[name] += weights / 3
    assert len({tuple(w.nonzero().flatten().tolist()) for w in shares.values()}) > 1, "per layer"
    for name, weights in shares.items():
        first, second = assembled.matrices[name]
        scale = assembled.config.lora_alpha / assembled.config.r
        expected = sum(w * change for w, change in zip(weights, changes[name], strict=True))
        torch.testing.assert_close(scale * second @ first, expected, rtol=1e-4, atol=1e-6)


def score_of_one(model, layer, each, vectors, chosen, changes):
    """The score of each piece at a layer, for one example alone, from the definition."""
    read = {}

    def hook(name, module, inputs, out):
        read[name] = inputs[0][0]
        if name in chosen:
            for w, change in zip(chosen[name], changes[name], strict=True):
                out = out + w * (inputs[0] @ change.T)
        return out

    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda module, inputs, out, name=name: hook(name, module, inputs, out)
        )
        for name in {*chosen, layer}
    ]
    with torch.no_grad():
        model(input_ids=torch.tensor([[*each.prompt, *each.responses[0]]]))
    for one in hooks:
        one.remove()
    tokens = read[layer][len(each.prompt) - 1 : -1]

    def normal(x):
        return (x - x.mean(-1, keepdim=True)) / (
            x.var(-1, unbiased=False, keepdim=True) + 1e-5
        ).sqrt()

    scores = [normal(tokens) @ normal(one[layer]) / math.sqrt(tokens.shape[1]) for one in vectors]
    return torch.stack([one.mean() for one in scores])


def test_what_is_assembled_is_served_in_batches_as_one_user_at_a_time(
    sharers, reference, engine, tmp_path
):
    asked = assembling(tmp_path, sharers)
    list(reference.train([asked], no_hook))
    request = ScoreRequest("s", prompt(1), "Storm closes harbour", (sharers[0], asked.output))
    (one,), (many,) = reference.score([request]), engine().score([request])
    assert many.logprobs == pytest.approx(one.logprobs, abs=1e-4)
    (without,) = reference.score([replace(request, weights=(sharers[0],))])
    assert one.logprobs != without.logprobs


def test_gates_and_pieces_are_the_same_again_and_leave_nothing_behind(sharers, reference, tmp_path):
    tam, loras, gates = sharers
    asked = ScoreRequest("s", prompt(1), "Storm", (tam, loras[1]))
    (before,) = reference.score([asked])
    for name in ("first", "second"):
        list(reference.train([assembling(tmp_path, sharers, name)], no_hook))
        again = job(tmp_path, f"gate {name}", frozen=(tam, loras[0]), data=examples(6)[:3],
                    adapter=GateSpec(), optim=GATING)  # fmt: skip
        list(reference.train([again], no_hook))
        assert list(reference.score([asked])) == [before]
    for file in (WEIGHTS, "adapter_config.json"):
        one, two = (tmp_path / name / "adapter" / file for name in ("first", "second"))
        assert one.read_bytes() == two.read_bytes()
        one, two = tmp_path / "gate first" / "adapter" / file, gates[0] / file
        assert one.read_bytes() == two.read_bytes()


def test_damaged_or_foreign_gates_are_one_line(sharers, reference, tmp_path):
    _, loras, gates = sharers
    broken = shutil.copytree(gates[0], tmp_path / "broken")
    (broken / WEIGHTS).write_bytes(b"nothing")
    foreign = shutil.copytree(gates[0], tmp_path / "foreign")
    save_file({"model.other": torch.zeros(3)}, foreign / WEIGHTS)
    for path, message in ((broken, "gates are damaged"), (foreign, "on another LoRA or model")):
        spec = PiecesSpec(((loras[0], path),), 1, 1.0)
        with pytest.raises(LampbenchError, match=message):
            list(reference.train([assembling(tmp_path, sharers, adapter=spec)], no_hook))
    asked = job(tmp_path, "none", adapter=GateSpec())
    with pytest.raises(LampbenchError, match="gates need a LoRA"):
        list(reference.train([asked], no_hook))
