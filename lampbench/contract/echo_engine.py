"""An engine that computes nothing: its answers are digests of what it is asked.

Whatever differs in a request - prompt, weights, seed, a setting - makes another answer, so that
two runs agree exactly where a plugin asks the same. It takes milliseconds, and a run on it can be
killed after any result.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Generic, TypeVar

from lampbench.engine.capability import Capability
from lampbench.engine.model_files import decoder_sizes
from lampbench.engine.models import ModelSpec, resolve_model
from lampbench.engine.pool import EngineOptions
from lampbench.engine.protocol import (
    AdapterSpec,
    CombineJob,
    Completion,
    GenerateRequest,
    LoraSpec,
    ScoreRequest,
    ScoreResult,
    StepHook,
    TrainJob,
    TrainResult,
)
from lampbench.util.disk import writing
from lampbench.util.hashing import digest, file_digest, seed_from

E = TypeVar("E")

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty")
_SHORTEST, _LONGEST = 2, 6  # tokens of an answer: a method may choose by length
_TRUNCATED = 0.5  # share of answers that the token budget ends: a method may ask those again


class Killed(BaseException):
    """What a kill looks like from inside: nothing may catch it."""


@dataclasses.dataclass
class KillSwitch:
    """Counts results and stored artifacts, and kills the run after `after` of them (None: never).

    One result less is known to the killed run than were counted.
    """

    after: int | None = None
    count: int = 0

    def tick(self) -> None:
        """One more result or artifact."""
        if self.after is not None and self.count >= self.after:
            raise Killed
        self.count += 1


class EchoEngine:
    """Answers with digests of the requests."""

    device = "cpu"

    def __init__(self, model: str) -> None:
        self._model = model
        self.switch = KillSwitch()

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """An answer of words drawn by the digest of the request."""
        for request in reversed(requests):  # results may come in any order
            asked = _content(request)
            asked.pop("samples", None)
            for sample in range(request.samples):
                self.switch.tick()
                draw = Random(seed_from(digest(asked, 64), sample))
                budget = request.spec.max_new_tokens
                truncated = draw.random() < _TRUNCATED
                length = budget if truncated else min(draw.randint(_SHORTEST, _LONGEST), budget)
                ids = tuple(draw.randrange(4, 100) for _ in range(length))
                words = [*draw.choices(_WORDS, k=length), str(draw.randrange(10))]
                answer = Completion(
                    request.id, sample, " ".join(words), ids,
                    len(request.prompt.text.split()), (1, 2, 3), 0, truncated,
                )  # fmt: skip
                if request.spec.rewards:
                    rewards = tuple(draw.uniform(-1, 1) for _ in ids)
                    texts = tuple(words[:length])
                    answer = dataclasses.replace(answer, rewards=rewards, token_texts=texts)
                if request.teacher_text is not None:
                    answer = dataclasses.replace(answer, teacher_ids=ids)
                yield answer

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities drawn by the digest of the request."""
        for request in reversed(requests):
            self.switch.tick()
            draw = Random(seed_from(digest(_content(request), 64)))
            length = max(1, len(request.response.split()))
            yield ScoreResult(request.id, tuple(draw.uniform(-9, 0) for _ in range(length)))

    def train(self, jobs: Sequence[TrainJob], on_step: StepHook) -> Iterator[TrainResult]:
        """An adapter in PEFT's format, with weights drawn by the digest of the job."""
        for job in jobs:
            self.switch.tick()
            asked = _content(job)
            del asked["output"], asked["scratch"]
            on_step(job.id, 1, 2)
            self._write(job.output, job.adapter, digest(asked, 64))
            on_step(job.id, 2, 2)
            yield TrainResult(job.id, 2, 10, 0, (1.0, 0.5), (0.1, 0.2) if job.dpo else ())

    def combine(self, job: CombineJob) -> None:
        """An adapter with weights drawn by the digest of its terms, in the shape of the first."""
        self.switch.tick()
        asked = _plain(dataclasses.asdict(job))
        del asked["output"]
        first = json.loads((job.terms[0][0] / "adapter_config.json").read_text())
        shape = LoraSpec(first["r"], first["lora_alpha"], 0.0, tuple(first["target_modules"]))
        self._write(job.output, shape, digest(asked, 64))

    def _write(self, output: Path, adapter: AdapterSpec, content: str) -> None:
        import numpy
        from safetensors.numpy import save

        draw = numpy.random.default_rng(seed_from(content))
        tensors = {}
        config: dict[str, Any] = {"made_from": content, "kind": type(adapter).__name__}
        if isinstance(adapter, LoraSpec):
            config |= _lora_config(adapter)
            for name, shape in self._shapes(adapter).items():
                tensors[name] = draw.normal(size=shape).astype("float32")
        else:
            tensors["values"] = draw.normal(size=8).astype("float32")
        with writing(output):
            output.mkdir(parents=True, exist_ok=True)
            (output / "adapter_model.safetensors").write_bytes(save(tensors))
            (output / "adapter_config.json").write_text(json.dumps(config, sort_keys=True))

    def _shapes(self, lora: LoraSpec) -> dict[str, tuple[int, int]]:
        """The shape of each matrix of a LoRA, by its name in PEFT's files."""
        sizes = decoder_sizes(resolve_model(self._model))
        shapes = {}
        for layer in range(sizes.layers if sizes else 0):
            for name, (inputs, outputs) in (sizes.linear if sizes else {}).items():
                if name in lora.targets:
                    group = "mlp" if name in ("gate_proj", "up_proj", "down_proj") else "self_attn"
                    place = f"base_model.model.model.layers.{layer}.{group}.{name}"
                    shapes[f"{place}.lora_A.weight"] = (lora.rank, inputs)
                    shapes[f"{place}.lora_B.weight"] = (outputs, lora.rank)
        return shapes


def _lora_config(lora: LoraSpec) -> dict[str, Any]:
    return {
        "peft_type": "LORA",
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "target_modules": sorted(lora.targets),
        "lora_dropout": lora.dropout,
        "task_type": "CAUSAL_LM",
    }


class OneEnginePool(Generic[E]):
    """One engine for every model, as `EnginePool` hands engines out; it reads no model."""

    def __init__(self, engine: E, options: EngineOptions) -> None:
        self.engine = engine
        self.options = options

    def get(self, model: str, engine: str | None = None) -> E:
        """The engine."""
        return self.engine

    def close(self) -> None:
        """Nothing is open."""

    def identity(
        self, model: str, engine: str | None = None, needed: frozenset[Capability] = frozenset()
    ) -> Any:
        """The model's name alone."""
        return {"fingerprint": model, "dtype": "float32", "chat_template": None}

    def model(self, model: str, engine: str | None = None) -> ModelSpec:
        """A model by its name."""
        return resolve_model(model)

    def revision(self, model: str, engine: str | None = None) -> str | None:
        """None: no model is read."""
        return None

    def device(self, model: str, engine: str | None = None) -> str:
        """As if on a CPU."""
        return "cpu"

    def dtype(self, model: str, engine: str | None = None) -> str:
        """As if in float32."""
        return "float32"

    def chat_template(self, model: str, engine: str | None = None) -> str | None:
        """The tokenizer's own."""
        return None

    def prices(self, model: str, engine: str | None = None) -> tuple[float, float] | None:
        """Nothing has to be paid."""
        return None

    def reads_model_files(self, engine: str | None = None) -> bool:
        """As if."""
        return True

    def keyed_arguments(self, engine: str) -> frozenset[str]:
        """None."""
        return frozenset()

    def argument(self, engine: str, name: str) -> Any:
        """None."""
        return None

    def arguments(self) -> dict[str, Any]:
        """None."""
        return {}

    def server(self, model: str, engine: str | None = None) -> None:
        """None: it is in this process."""
        return

    def batching(self, model: str, engine: str | None = None) -> dict[str, int]:
        """Nothing is batched."""
        return {}


class EchoPool(OneEnginePool[EchoEngine]):
    """One echo engine for every model."""

    def __init__(self, model: str, options: EngineOptions | None = None) -> None:
        super().__init__(EchoEngine(model), options or EngineOptions())


def _content(request: Any) -> dict[str, Any]:
    """What a request asks, as JSON: adapters by their content, wherever they are.

    What is shortened first in a prompt that is too long is left out: none is too long here.
    """
    content: dict[str, Any] = _plain(dataclasses.asdict(request))
    del content["id"]
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return [[file.name, file_digest(file)] for file in sorted(value.glob("adapter_*"))]
    if isinstance(value, dict):
        return {str(key): _plain(held) for key, held in value.items() if key != "shrink"}
    if isinstance(value, (list, tuple)):
        return [_plain(held) for held in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else repr(value)
