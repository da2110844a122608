"""A tiny model that a real vLLM server holds, and the engine that its answers are compared with."""

import os

import pytest

from lampbench.core.fidelity import PAPER
from lampbench.engine.engine_argument import engine_arguments
from lampbench.engine.engine_plugin import EngineSetup
from lampbench.engine.models import resolve_model
from lampbench.engines.vllm import Vllm
from lampbench.execution.cache import Cache
from tests.engine import tiny_models
from tests.engine.engine_inputs import LORA_SHAPES

PYTHON = os.environ.get("LAMPBENCH_VLLM_PYTHON", "")
MARKS = [
    pytest.mark.vllm,
    pytest.mark.skipif(
        not PYTHON, reason="no environment with vLLM: make test-vllm makes one and runs these"
    ),
]
HEAD_DIM = 32  # the least that vLLM's attention on CPUs takes
CROWDED = "--block-size 32 --num-gpu-blocks-override 24"
"""A KV cache too small for all requests at once."""
NEW = 10


class Side:
    """A tiny model with adapters, the reference engine on it, and engines that use vLLM."""

    def __init__(self, name, home):
        from transformers import AutoModelForCausalLM

        from lampbench.engine.adapter_files import write_adapter
        from lampbench.engine.lora_init import initial_matrices, peft_config
        from lampbench.engine.reference.engine import ReferenceEngine

        self.home, self.said = home, []
        folder = tiny_models.save(name, home / name, HEAD_DIM)
        self.spec = resolve_model(str(folder))
        model = AutoModelForCausalLM.from_pretrained(folder)
        self.adapters = []
        import torch

        for n, shape in enumerate(LORA_SHAPES):
            matrices = initial_matrices(model, shape, seed=n)
            noise = torch.Generator().manual_seed(n)
            for _, second in matrices.values():
                second.normal_(0, 0.15, generator=noise)
            self.adapters.append(home / f"lora{n}")
            write_adapter(self.adapters[-1], peft_config(model, shape, str(folder)), matrices)
        self.reference = ReferenceEngine(
            self.spec, device="cpu", dtype="float32", chat_template=None, fidelity=PAPER
        )
        self._open = []
        self.shared = self.engine()

    def engine(self, **arguments):
        usual = {"python": PYTHON, "max_loras": 2, "server_args": CROWDED}
        given = arguments if "url" in arguments else usual | arguments
        setup = EngineSetup(
            model=self.spec,
            dtype="float32",
            fidelity=PAPER,
            store=Cache(self.home / "cache", self.said.append),
            say=self.said.append,
            batch_size=8,
            arguments=engine_arguments("vllm", Vllm.arguments, given),
        )
        self._open.append(Vllm().open(setup))
        return self._open[-1]

    def close(self):
        while self._open:
            Vllm().close(self._open.pop())

    def stacks(self):
        a, b, c, d, e, f = self.adapters
        return [(), (c,), (c, a), (c, b), (c, d), (), (e,), (c, f), (c, a, b)]


def tokens(answers):
    return {(one.id, one.sample): one for one in answers}
