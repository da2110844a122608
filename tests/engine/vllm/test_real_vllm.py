"""A real vLLM server on the CPU, with tiny models of the four architectures.

`make test-vllm` runs these: they need the environment of `make vllm-env`, whose interpreter
LAMPBENCH_VLLM_PYTHON names. The reference engine is what answers are compared with.
"""

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lampbench.engine.model_arguments import NOTHING_GIVEN
from lampbench.engine.protocol import (
    Contrast,
    GenerateRequest,
    GenerationSpec,
    Sampling,
    ScoreRequest,
)
from lampbench.engine.vllm.contrastive_form import contrastive_override
from lampbench.engine.vllm.model_shapes import model_shapes
from lampbench.engine.vllm.server_process import ServerProcess
from lampbench.engine.vllm.told_configuration import told_configuration
from lampbench.engine.vllm.wire_format import generation_body, token_answers
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import RESPONSES, prompt
from tests.engine.vllm.real_server import CROWDED, MARKS, NEW, PYTHON, Side, tokens

pytestmark = MARKS
IN_CHUNKS = f"{CROWDED} --enable-chunked-prefill --max-num-batched-tokens 64"


@pytest.fixture(scope="module", params=["llama", "mistral", "qwen", "gemma"])
def side(request, tmp_path_factory):
    """All tests of one architecture follow each other: one server at a time."""
    made = Side(request.param, tmp_path_factory.mktemp(f"vllm-{request.param}"))
    # the twin costs little here, and a server that has it decodes without contrast too
    first = GenerateRequest("first", prompt(), (), GenerationSpec(1, contrast=Contrast((), 0.1, 0)))
    list(made.shared.generate([first]))
    yield made
    made.close()


def test_greedy_answers_are_the_reference_engines(side):
    """Base rows among adapters too, with more adapters than slots, and every repetition penalty."""
    specs = [GenerationSpec(NEW), GenerationSpec(NEW, 1.3, "logits", min_new_tokens=4),
             GenerationSpec(NEW, 1.3)]  # fmt: skip
    requests = [
        GenerateRequest(f"{n}/{i}", prompt(n), stack, spec)
        for n, stack in enumerate(side.stacks())
        for i, spec in enumerate(specs)
    ]
    assert tokens(side.shared.generate(requests)) == tokens(side.reference.generate(requests))


def test_contrastive_answers_are_the_reference_engines(side):
    """Alpha and tau of each request, in one batch with requests without a contrast."""
    contrasts = [Contrast((), 0.3, 0.1), Contrast((), 0.8, 0.02), Contrast((), 0.5, 0.1, 1e-8)]
    requests = [
        GenerateRequest(
            f"{n}/{i}", prompt(n), stack, GenerationSpec(NEW, 1.2 if n % 2 else 1.0, contrast=each)
        )
        for n, stack in enumerate(side.stacks())
        for i, each in enumerate(contrasts)
    ]
    found = tokens(side.shared.generate(requests))
    assert found == tokens(side.reference.generate(requests))
    plain = [GenerateRequest(one.id, one.prompt, one.weights, GenerationSpec(NEW))
             for one in requests if one.weights]  # fmt: skip
    differ = [one for one in plain if found[one.id, 0].token_ids
              != tokens(side.shared.generate([one]))[one.id, 0].token_ids]  # fmt: skip
    assert differ  # otherwise the contrast would not have been tested


@pytest.mark.parametrize("form", ["chat", "raw"])
def test_scores_are_the_reference_engines(side, form):
    """With adapters: vLLM's own would crash here if its output layer could have a LoRA."""
    requests = [
        ScoreRequest(f"{n}/{i}", prompt(n), text, stack, form)
        for n, stack in enumerate(side.stacks()[:5])
        for i, text in enumerate(RESPONSES)
    ]
    found = {one.id: one.logprobs for one in side.shared.score(requests)}
    for expected in side.reference.score(requests):
        assert found[expected.id] == pytest.approx(expected.logprobs, rel=1e-5, abs=1e-4)


def test_seeded_samples_repeat(side):
    spec = GenerationSpec(NEW, sampling=Sampling(0.9, 0.95))
    requests = [GenerateRequest(f"{n}", prompt(n), stack, spec, 3, seed=1000 + n)
                for n, stack in enumerate(side.stacks()[:4])]  # fmt: skip
    first, again = (tokens(side.shared.generate(requests)) for _ in range(2))
    assert first == again
    assert len({one.token_ids for one in first.values()}) > len(first) // 2
    other = [GenerateRequest(one.id, one.prompt, one.weights, spec, 3, seed=1) for one in requests]
    assert tokens(side.shared.generate(other)) != first


def test_a_killed_server_is_started_again_in_mid_run(side):
    """SIGKILL, to the server and not to its workers; what it had not answered is asked again."""
    requests = [GenerateRequest(f"{n}/{i}", prompt(n + i), stack, GenerationSpec(NEW))
                for n, stack in enumerate(side.stacks()) for i in range(3)]  # fmt: skip
    answers = side.shared.generate(requests)
    found = [next(answers)]
    if side.spec.name == "llama":  # a start takes long: once is enough
        os.kill(side.shared.server.process.group, signal.SIGKILL)
    found += answers
    assert len(found) == len(requests)
    assert tokens(found) == tokens(side.reference.generate(requests))
    restarted = any("starting it again" in line for line in side.said)
    assert restarted == (side.spec.name == "llama")


def test_a_contrast_with_tam_is_served_by_a_merged_checkpoint(side):
    if side.spec.name != "llama":
        pytest.skip("a server of its own: one architecture is enough")
    side.close()
    engine = side.engine(server_args=IN_CHUNKS)
    a, b, tam, d, *_ = side.adapters
    requests = [
        GenerateRequest(f"{n}", prompt(n), stack, GenerationSpec(NEW, 1.2, contrast=each))
        for n, stack in enumerate([(tam, a), (tam, b), (tam,), (tam, d), (tam, a, b)])
        for each in [Contrast((tam,), 0.1 + 0.1 * n, 0.1)]
    ]
    assert tokens(engine.generate(requests)) == tokens(side.reference.generate(requests))
    merged = list((side.home / "cache" / "model").iterdir())
    assert len(merged) == 1


def test_one_alpha_and_tau_for_a_whole_server(side, tmp_path, monkeypatch):
    """Without a logits processor, as README.md of lampbench-vllm says; it is not joined."""
    side.close()
    adapter, alpha, tau = side.adapters[2], 0.6, 0.05
    shapes = model_shapes(side.spec, NOTHING_GIVEN)
    override = json.loads(contrastive_override(shapes))
    override |= {"contrast_alpha": alpha, "contrast_tau": tau}
    arguments = [
        "--model", side.spec.location, "--served-model-name", "served", "--dtype", "float32",
        "--max-model-len", str(shapes.context), "--generation-config", "vllm", "--enforce-eager",
        "--no-enable-chunked-prefill", "--enable-lora", "--max-lora-rank", "16",
        "--lora-modules", f"user={adapter}", "--lora-target-modules", *shapes.lora_targets,
        "--hf-overrides", json.dumps(override), *CROWDED.split(),
    ]  # fmt: skip
    stopped = threading.Event()
    server = ServerProcess(PYTHON, arguments, tmp_path / "log", variables={}, stopped=stopped)
    try:
        encoder, stop = side.shared._encoder, side.shared._stop

        def ask(number):
            ids = encoder.encode_prompt("q", prompt(number), 200).ids
            body = generation_body(GenerationSpec(NEW), 1, 0, ids, stop) | {"model": "user"}
            (answer,) = token_answers(server.client.post("/v1/completions", body), ids, stop, NEW)
            return answer.ids

        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(ask, range(6)))
        key = server.client._headers["Authorization"].removeprefix("Bearer ")
        monkeypatch.setenv("VLLM_API_KEY", key)
        with pytest.raises(LampbenchError, match=r"every request \(contrast_alpha=0.6"):
            side.engine(url=server.client.url)
        told = told_configuration(server.client, "served")
        assert (told.dtype, told.quantization, told.kv_cache_dtype) == (None, None, "auto")
    finally:
        server.stop()
    for spec, same in [
        (GenerationSpec(NEW, contrast=Contrast((), alpha, tau)), True),
        (GenerationSpec(NEW), False),
    ]:
        requests = [GenerateRequest(f"{n}", prompt(n), (adapter,), spec) for n in range(6)]
        expected = {one.id: one.token_ids for one in side.reference.generate(requests)}
        assert ([expected[f"{n}"] for n in range(6)] == found) is same


def test_the_trap_of_base_rows_is_still_there(side):
    """A base row that shares a batch with adapters is answered under one of them, on a CPU.

    If this fails, vLLM has mended it, and `Serving.adapted` can go.
    """
    if side.spec.name != "llama":
        pytest.skip("one architecture is enough")
    side.close()
    engine = side.engine(max_loras=1)
    stack = (side.adapters[2],)
    list(engine.generate([GenerateRequest("a", prompt(), stack, GenerationSpec(1))]))
    client, stop = engine.server.client, engine._stop
    requests = [GenerateRequest(f"{n}", prompt(n), (), GenerationSpec(NEW)) for n in range(6)]
    expected = {one.id: one.token_ids for one in side.reference.generate(requests)}
    with engine._adapters.use(stack) as name, ThreadPoolExecutor(12) as pool:

        def ask(model, request):
            ids = engine._encoder.encode_prompt("q", request.prompt, 200).ids
            body = generation_body(request.spec, 1, 0, ids, stop)
            (answer,) = token_answers(
                client.post("/v1/completions", {**body, "model": model}), ids, stop, NEW
            )
            return answer.ids

        alone = {one.id: ask("served", one) for one in requests}
        others = [pool.submit(ask, name, one) for one in requests * 4]
        mixed = {one.id: pool.submit(ask, "served", one) for one in requests}
        found = {number: future.result() for number, future in mixed.items()}
        for future in others:
            future.result()
    assert alone == expected
    assert found != expected


def test_a_model_that_does_not_fit_is_an_error_of_one_line(side):
    if side.spec.name != "llama":
        pytest.skip("one architecture is enough")
    side.close()
    engine = side.engine(server_args="--block-size 32 --num-gpu-blocks-override 2")
    with pytest.raises(LampbenchError, match=r"vLLM did not start: .*KV cache") as raised:
        list(engine.generate([GenerateRequest("a", prompt(), (), GenerationSpec(1))]))
    assert "\n" not in str(raised.value)
    assert Path(str(raised.value).rpartition(": ")[2]).is_file()
