"""What work costs on a machine: seconds per token and stage, measured, or arithmetic for a GPU."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from lampbench.execution.plan import Plan
from lampbench.record.manifest import PREDICT
from lampbench.record.typed_json import from_json
from lampbench.study.token_cost import Cost
from lampbench.util.atomic import replace as replace_file
from lampbench.util.errors import LampbenchError, suggestion
from lampbench.util.hashing import digest
from lampbench.util.regular_file import read_regular

PROFILE = "profile.json"
"""The name of a profile in a cache."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What a stage costs: seconds per token, as the plan estimates tokens, and `fixed` ones.
    Recording costs seconds per answer.

    Steps of a batch that is not full yet take as long with one row as with many: they are fixed.
    """

    per_token: float
    fixed: float = 0.0

    @classmethod
    def through(cls, few: tuple[float, int], many: tuple[float, int]) -> "Rate":
        """The line through two measurements, each (seconds, tokens); neither part is negative."""
        (some, fewer), (most, tokens) = few, many
        slope = (most - some) / (tokens - fewer) if tokens > fewer else 0.0
        if not 0 < slope * tokens <= most:  # noise, or fewer tokens cost less each
            return cls(most / max(1, tokens))
        return cls(slope, most - slope * tokens)

    def of(self, tokens: int) -> float:
        """Seconds of so many tokens; none where there is nothing to do."""
        return self.fixed + self.per_token * tokens if tokens else 0.0


@dataclass(frozen=True, slots=True)
class RatePlace:
    """What a rate was measured for.

    `device` is what was asked for, "auto" where nothing was. `setup` is a digest of what else the
    model and the engine were told, such as quantisation or the address of a server, "-" for
    nothing.
    """

    model: str
    task: str
    method: str
    stage: str
    engine: str
    dtype: str
    device: str
    setup: str = "-"

    def __str__(self) -> str:
        return " ".join(str(getattr(self, one.name)) for one in fields(self))

    @classmethod
    def read(cls, text: str) -> "RatePlace":
        """The place of that text; a model's name may have spaces.

        Raises:
            ValueError: it is none.
        """
        parts = text.rsplit(" ", 7)
        if len(parts) != 8:
            raise ValueError(f"rates: {text!r} does not name engine, precision, device and setup")
        return cls(*parts)


def rate_place(plan: Plan, stage: str) -> RatePlace:
    """The place of a stage of a plan."""
    executor, spec = plan.executor, plan.spec
    recipes = {one.name: one.recipe for one in plan.stages}
    engine = executor.engine_of(recipes.get(stage))
    dtype = executor.engines.dtype(spec.model, engine)
    options = executor.engines.options
    told = {
        "model": options.arguments.given(),
        "engine": dict(options.engine_arguments.get(engine, {})),
        "batch_size": options.batch_size,
    }
    return RatePlace(
        spec.model, spec.task.name, plan.method.name, stage, engine, dtype,
        options.device or "auto", digest(told) if any(told.values()) else "-",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CostProfile:
    """Rates by `RatePlace`, as text, and what does not belong to a stage.

    `answer_seconds` are those of scoring and recording an answer, `run_seconds` what recording a
    run takes besides, `start` what a process needs before it works (imports, the model), and
    `peak_bytes` the most memory that was used.
    """

    machine: str
    rates: dict[str, Rate] = field(default_factory=dict)
    answer_seconds: float = 0.0
    run_seconds: float = 0.0
    start: float = 0.0
    peak_bytes: int = 0

    def seconds(self, wanted: RatePlace, cost: Cost) -> tuple[float, float] | None:
        """Seconds of a stage of a plan, and how many of them do not depend on its tokens; None
        where it was not measured, or its tokens are not known.

        A stage that was measured for another method or task only has that rate; predictions of
        another method cost something else, and have none. So do other engines, precisions and
        devices.
        """
        amounts = (cost.read, cost.trained, cost.written)
        if any(amount is None for amount in amounts):
            return None
        tokens = sum(amount or 0 for amount in amounts)
        if not tokens:
            return 0.0, 0.0
        freed: tuple[dict[str, str], ...] = ({}, {"method": ""}, {"task": ""},
                                             {"method": "", "task": ""})  # fmt: skip
        measured = {RatePlace.read(name): rate for name, rate in self.rates.items()}
        for free in freed[: None if wanted.stage != PREDICT else 1]:
            for place, rate in measured.items():
                if replace(place, **free) == replace(wanted, **free):
                    return rate.of(tokens), rate.fixed
        return None

    def updated(self, other: "CostProfile") -> "CostProfile":
        """The profile with newer measurements."""
        return replace(other, rates={**self.rates, **other.rates})


def read_profile(file: Path) -> CostProfile:
    """A profile that `plan --calibrate` wrote.

    Raises:
        LampbenchError: there is none, or it is no profile.
    """
    try:
        found: CostProfile = from_json(CostProfile, json.loads(read_regular(file)))
        for name in found.rates:
            RatePlace.read(name)
    except FileNotFoundError:
        raise LampbenchError(
            f"{file}: no such profile; measure this machine with --calibrate, give a file with "
            "--profile, or a GPU with --gpu"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise LampbenchError(
            f"{file}: is no profile ({error}); delete it and measure one with --calibrate"
        ) from None
    return found


def write_profile(file: Path, profile: CostProfile) -> None:
    """Write a profile; measurements of other stages that are there are kept.

    Raises:
        LampbenchError: what is there is no profile.
    """
    if file.exists():
        profile = read_profile(file).updated(profile)
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, (json.dumps(asdict(profile), indent=1, sort_keys=True) + "\n").encode())


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU's data sheet: bfloat16 operations and bytes of memory per second, bytes of memory."""

    flops: float
    bandwidth: float
    memory: float


GPUS = {
    "a100": Gpu(312e12, 2.0e12, 80e9),
    "h100": Gpu(989e12, 3.35e12, 80e9),
    "h200": Gpu(989e12, 4.8e12, 141e9),
}


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A dense decoder: parameters, layers, width of keys (or values) of all heads, width."""

    parameters: float
    layers: int
    keys: int
    hidden: int


MODEL_SHAPES = {
    "1.5b": ModelShape(1.54e9, 28, 256, 1536),
    "3b": ModelShape(3.2e9, 28, 1024, 3072),
    "7b": ModelShape(7.24e9, 32, 1024, 4096),
    "8b": ModelShape(8.03e9, 32, 1024, 4096),
    "13b": ModelShape(13.0e9, 40, 5120, 5120),
    "32b": ModelShape(32.8e9, 64, 1024, 5120),
    "70b": ModelShape(70.6e9, 80, 1024, 8192),
}
"""By size: Qwen2.5-1.5B, Llama-3.2-3B, Mistral-7B, Llama-3.1-8B, Llama-2-13B, Qwen2.5-32B and
Llama-3.1-70B, as their configurations give them."""

_SHARE_READ, _SHARE_TRAINED, _SHARE_BANDWIDTH = 0.45, 0.35, 0.6
"""Shares of the data sheet's numbers that are assumed to be reached. Not measured."""
_ROWS = 64
"""Rows of a decoding step that are assumed; also those whose keys and values are in memory."""


@dataclass(frozen=True, slots=True)
class GpuArithmetic:
    """Costs on GPUs that are not here, from data sheets: an order of magnitude, not a measurement.

    A token read costs 2 operations per parameter, one trained on 6 (forward, backward through the
    frozen weights, and what checkpointing computes again), one written a share of reading all
    weights, or its operations where these take longer.
    """

    gpu: Gpu
    shape: ModelShape
    context: int = 1024

    @property
    def gpus(self) -> int:
        """GPUs that one copy of the model needs."""
        count = 1
        while self.memory() > 0.9 * self.gpu.memory * count:
            count *= 2
        return count

    def memory(self) -> float:
        """Bytes of one copy in bfloat16: weights, and keys and values of a batch."""
        shape = self.shape
        cached = 2 * 2 * shape.keys * shape.layers * self.context * _ROWS
        return 2 * shape.parameters + cached

    def gpu_seconds(self, cost: Cost) -> float | None:
        """Seconds of one GPU, all of them added up; None where tokens are not known."""
        if cost.read is None or cost.trained is None or cost.written is None:
            return None
        flops, parameters = self.gpu.flops, self.shape.parameters
        read = 2 * parameters / (flops * _SHARE_READ)
        trained = 6 * parameters / (flops * _SHARE_TRAINED)
        weights = 2 * parameters / (self.gpu.bandwidth * _SHARE_BANDWIDTH) / _ROWS
        return cost.read * read + cost.trained * trained + cost.written * max(weights, read)


def gpu_arithmetic(gpu: str, size: str) -> GpuArithmetic:
    """The arithmetic for a GPU and a size of model, by name.

    Raises:
        LampbenchError: one is not known.
    """
    if gpu not in GPUS:
        raise LampbenchError(f"--gpu {gpu}: not known; {suggestion(gpu, GPUS)}")
    if size not in MODEL_SHAPES:
        raise LampbenchError(f"--model-size {size}: not known; {suggestion(size, MODEL_SHAPES)}")
    return GpuArithmetic(GPUS[gpu], MODEL_SHAPES[size])
