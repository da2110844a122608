"""Models, users, adapters and prompts of the benchmarks, all made from seeds."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import torch

from lampbench.core.fidelity import PAPER
from lampbench.core.prompt import Piece, Prompt
from lampbench.engine import load_model as loading
from lampbench.engine.adapter_files import write_adapter
from lampbench.engine.batched import engine as batched_engine
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.engine.lora_init import initial_matrices, peft_config
from lampbench.engine.models import resolve_model
from lampbench.engine.protocol import (
    Contrast,
    DPOSpec,
    GenerateRequest,
    GenerationSpec,
    LoraSpec,
    OptimSpec,
    PreferencePair,
    Sampling,
    SFTExample,
    TrainJob,
)
from lampbench.engine.reference import engine as reference_engine
from lampbench.engine.reference.engine import ReferenceEngine

# Mean tokens of prompt and answer: the paper's Table 4, columns L_in and L_out of TAM.
SHAPES = {"news": (54, 16), "title": (231, 18), "abstract": (70, 233), "topic": (57, 358)}

# Shapes of published models; their weights are random, which makes no difference to speed.
MODELS: dict[str, dict[str, Any]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
             "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 9000,
             "tie_word_embeddings": True},
    "100m": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12,
             "num_attention_heads": 12, "num_key_value_heads": 12, "vocab_size": 32000,
             "tie_word_embeddings": True},
    "smollm2-135m-shape": {"hidden_size": 576, "intermediate_size": 1536,
                           "num_hidden_layers": 30, "num_attention_heads": 9,
                           "num_key_value_heads": 3, "vocab_size": 49152,
                           "tie_word_embeddings": True},
    "qwen2.5-1.5b-shape": {"hidden_size": 1536, "intermediate_size": 8960,
                           "num_hidden_layers": 28, "num_attention_heads": 12,
                           "num_key_value_heads": 2, "vocab_size": 151936,
                           "tie_word_embeddings": True},
    "mistral-7b-shape": {"hidden_size": 4096, "intermediate_size": 14336,
                         "num_hidden_layers": 32, "num_attention_heads": 32,
                         "num_key_value_heads": 8, "vocab_size": 32768,
                         "tie_word_embeddings": False},
}  # fmt: skip
TAM = LoraSpec(16, 16, 0.0, ("q_proj", "k_proj", "v_proj", "o_proj"))
USER = LoraSpec(8, 8, 0.0, ("q_proj", "v_proj"))
_WORDS = "storm coast town model paper review music film year people city work".split()  # noqa: SIM905

AnyEngine = TypeVar("AnyEngine", BatchedEngine, ReferenceEngine)


@dataclass
class Workload:
    """One model with the adapters of `users` users on top of TAM; `home` is a folder for files."""

    model: str
    users: int
    home: Path
    device: str = "cpu"
    dtype: str = "float32"
    vocabulary: int | None = None

    @cached_property
    def batched(self) -> BatchedEngine:
        """The batched engine."""
        return self._engine(BatchedEngine)

    @cached_property
    def invariant(self) -> BatchedEngine:
        """The batched engine with `batch_invariant`."""
        return self._engine(BatchedEngine, batch_invariant=True)

    @cached_property
    def reference(self) -> ReferenceEngine:
        """The reference engine: one user at a time.

        Below float32 nothing is ever merged into the batched engine's weights, so both have one
        copy of them: with all peers' copies, a model of 7B would not fit into a GPU.
        """
        engine = self._engine(ReferenceEngine)
        if self.dtype != "float32":
            theirs = dict(self.batched._model.named_parameters())
            for name, weight in engine._pristine.named_parameters():
                assert torch.equal(weight, theirs[name])
                weight.data = theirs[name].data
        return engine

    def _engine(self, kind: type[AnyEngine], **options: Any) -> AnyEngine:
        with _without_files(self.model, self.vocabulary):
            engine = kind(
                resolve_model("bundled"),
                device=self.device,
                dtype=self.dtype,
                chat_template=None,
                fidelity=PAPER,
                **options,
            )
        engine._stop = frozenset()  # every answer uses its whole token budget
        return engine

    @property
    def tam(self) -> Path:
        """Folder of the task adapter."""
        return self._adapter("tam", TAM, 0)

    def user(self, number: int) -> Path:
        """Folder of a user's adapter."""
        return self._adapter(f"user{number}", USER, number + 1)

    def _adapter(self, name: str, lora: LoraSpec, seed: int) -> Path:
        folder = self.home / f"{self.model}-{self.vocabulary}" / name
        if not folder.exists():
            model = self.batched._model
            draw = torch.Generator().manual_seed(seed)
            matrices = {
                layer: (first, 0.02 * torch.randn(second.shape, generator=draw))
                for layer, (first, second) in initial_matrices(model, lora, seed).items()
            }
            write_adapter(folder, peft_config(model, lora, self.batched._base), matrices)
        return folder

    def requests(
        self,
        operation: str,
        prompt: int,
        answer: int,
        users: int | None = None,
        penalty: float = 1.0,
    ) -> list[GenerateRequest]:
        """One request per user: greedy, contrastive, or three samples of the plain model."""
        count = self.users if users is None else users
        if operation == "sample":
            spec = GenerationSpec(answer, sampling=Sampling(1.0, 1.0))
            return [
                GenerateRequest(str(i), words(prompt, i), (), spec, samples=3, seed=i)
                for i in range(count)
            ]
        contrast = Contrast((self.tam,), 0.1, 0.1) if operation == "contrastive" else None
        spec = GenerationSpec(answer, penalty, contrast=contrast)
        return [
            GenerateRequest(str(i), words(prompt, i), (self.tam, self.user(i)), spec)
            for i in range(count)
        ]

    def jobs(
        self, operation: str, prompt: int, answer: int, records: int, batch: int, folder: str,
        users: int | None = None,
    ) -> list[TrainJob]:  # fmt: skip
        """One training job per user, one epoch over `records` examples; saved below `folder`."""
        dpo = operation == "dpo"
        optim = OptimSpec(1e-4, 1, batch, 0.01, 0.1, 0.3)
        jobs = []
        for i in range(self.users if users is None else users):
            asked = [words(prompt, 1000 * i + n) for n in range(records)]
            texts = [(_text(answer, i, n), _text(answer, n, i)) for n in range(records)]
            examples = tuple(SFTExample(p, good) for p, (good, _) in zip(asked, texts, strict=True))
            pairs = tuple(
                PreferencePair(p, good, bad) for p, (good, bad) in zip(asked, texts, strict=True)
            )
            home = self.home / "trained" / folder / str(i)
            jobs.append(
                TrainJob(
                    id=str(i),
                    frozen=(self.tam,),
                    data=pairs if dpo else examples,
                    adapter=USER,
                    optim=optim,
                    seed=i,
                    output=home / "adapter",
                    scratch=home / "scratch",
                    start=self.user(i) if dpo else None,
                    dpo=DPOSpec(0.5, (self.tam,)) if dpo else None,
                )
            )
        return jobs


def words(tokens: int, seed: int) -> Prompt:
    """A prompt of about `tokens` tokens, including those of the chat template (about thirty)."""
    return Prompt("", (Piece(_text(max(1, tokens - 30), seed, 0)),))


def _text(tokens: int, seed: int, part: int) -> str:
    draw = random.Random(f"{seed}/{part}")
    return " ".join(draw.choice(_WORDS) for _ in range(tokens))


@contextmanager
def _without_files(name: str, vocabulary: int | None) -> Iterator[None]:
    """Inside, engines get a random model of the named shape, built on its device."""
    if name == "bundled" and vocabulary is None:
        yield
        return

    def load(spec: Any, device: str | None, dtype: str, *_: Any) -> loading.LoadedModel:
        from transformers import LlamaConfig, LlamaForCausalLM

        tokens = original(spec, "cpu", dtype)
        shape = MODELS[name] if name != "bundled" else tokens.model.config.to_dict()
        if vocabulary:
            shape = {**shape, "vocab_size": vocabulary}
        config = LlamaConfig(**{"max_position_embeddings": 4096, "pad_token_id": 0, **shape})
        chosen = loading.choose_device(device)
        torch.manual_seed(0)
        before = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, dtype))
        try:
            with chosen:
                model: Any = LlamaForCausalLM(config)
        finally:
            torch.set_default_dtype(before)
        model.generation_config.eos_token_id = tokens.model.generation_config.eos_token_id
        model.eval().requires_grad_(False)
        return loading.LoadedModel(model, tokens.tokenizer, 4096, chosen)

    original = loading.load_model
    with (
        mock.patch.object(batched_engine, "load_model", load),
        mock.patch.object(reference_engine, "load_model", load),
    ):
        yield
