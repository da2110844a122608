"""Engines on tiny models, adapters for them, and what the engines are compared with."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.fidelity import PAPER
from lampbench.engine.models import resolve_model
from lampbench.engine.protocol import LoraSpec
from tests.engine import tiny_models
from tests.engine.engine_inputs import LORA_SHAPES, TASK_LORA, job, no_hook

Adapters = tuple[Path, ...]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tiny tensors on a busy machine: threads only wait for each other."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def engine_device(pytestconfig: pytest.Config) -> str:
    """Where the engines compute; what they are compared with stays on the CPU."""
    import torch

    name: str = pytestconfig.getoption("--device")
    if name != "cpu":  # equality holds in float32 only, and TF32 has 10 bits
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return name


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model, by its architecture."""
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = tiny_models.save(name, tmp_path_factory.mktemp("models") / name)
        return made[name]

    return get


@pytest.fixture(scope="module")
def reference(model_folder: Callable[[str], Path], engine_device: str) -> Any:
    """The reference engine on the tiny Llama."""
    from lampbench.engine.reference.engine import ReferenceEngine

    return ReferenceEngine(
        resolve_model(str(model_folder("llama"))),
        device=engine_device,
        dtype="float32",
        chat_template=None,
        fidelity=PAPER,
    )


@pytest.fixture(scope="session")
def engine(model_folder: Callable[[str], Path], engine_device: str) -> Callable[..., Any]:
    """Batched engines by model and options, each loaded once."""
    made: dict[str, Any] = {}

    def get(name: str = "llama", **options: Any) -> Any:
        given = {"device": engine_device} | options
        key = f"{name} {given}"
        if key not in made:
            made[key] = tiny_models.load_engine(model_folder(name), **given)
        return made[key]

    return get


@pytest.fixture(scope="session")
def merged_model(model_folder: Callable[[str], Path]) -> Callable[..., Any]:
    """Copies of a model with adapters merged into it by PEFT, without any code of lampbench."""
    made: dict[tuple[str, ...], Any] = {}

    def get(name: str, *adapters: Path) -> Any:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        key = (name, *map(str, adapters))
        if key not in made:
            model = get(name, *adapters[:-1]) if adapters else None
            if model:
                model = PeftModel.from_pretrained(model, str(adapters[-1])).merge_and_unload()
            made[key] = model or AutoModelForCausalLM.from_pretrained(model_folder(name)).eval()
        return copy.deepcopy(made[key])

    return get


@pytest.fixture(scope="session")
def plain_peft(merged_model: Callable[..., Any]) -> Callable[..., Any]:
    """`PlainPeft` by model, each made once."""
    from tests.engine.plain_peft import PlainPeft

    made: dict[str, PlainPeft] = {}

    def get(name: str = "llama") -> PlainPeft:
        if name not in made:
            made[name] = PlainPeft(merged_model(name))
        return made[name]

    return get


@pytest.fixture(scope="session")
def adapters(
    engine: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Adapters]:
    """Three trained adapters of a model: TAM, and two users' on top of it."""
    made: dict[str, Adapters] = {}

    def get(name: str = "llama") -> Adapters:
        if name not in made:
            home = tmp_path_factory.mktemp(f"adapters-{name}")
            tam = job(home, "tam", adapter=TASK_LORA, seed=1)
            users = [job(home, f"user{i}", frozen=(tam.output,), seed=5 + i) for i in (0, 1)]
            for each in (tam, *users):
                list(engine(name).train([each], no_hook))
            made[name] = (tam.output, users[0].output, users[1].output)
        return made[name]

    return get


@pytest.fixture(scope="session")
def random_adapters(
    engine: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Adapters]:
    """Random adapters of a model, one of each shape."""
    from lampbench.engine.adapter_files import write_adapter
    from lampbench.engine.lora_init import initial_matrices, peft_config

    made: dict[Any, Adapters] = {}

    def get(name: str = "llama", shapes: Sequence[LoraSpec] = LORA_SHAPES) -> Adapters:
        import torch

        key = (name, tuple(shapes))
        if key not in made:
            home = tmp_path_factory.mktemp(f"random-{name}")
            model, base = engine(name)._model, engine(name)._base
            for n, lora in enumerate(shapes):
                matrices = initial_matrices(model, lora, seed=n)
                noise = torch.Generator().manual_seed(n)
                for _, second in matrices.values():
                    second.normal_(0, 0.15, generator=noise)
                write_adapter(home / str(n), peft_config(model, lora, base), matrices)
            made[key] = tuple(home / str(n) for n in range(len(shapes)))
        return made[key]

    return get


@pytest.fixture
def limit_passes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what one pass over prompts or examples may hold, for all batched engines."""
    from lampbench.engine.batched.batch_size import BatchPlanner
    from lampbench.engine.batched.packing import PassLimits

    def limit(tokens: int, labels: int = 1 << 20) -> None:
        limits = PassLimits(tokens, labels)
        monkeypatch.setattr(BatchPlanner, "pass_limits", property(lambda _: limits))

    return limit
