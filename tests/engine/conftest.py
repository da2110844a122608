"""Engines on tiny models, and the prompts and jobs that the tests give them."""

import copy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.fidelity import PAPER
from lampbench.engine.models import resolve_model
from lampbench.engine.protocol import LoraSpec

sys.path.insert(0, str(Path(__file__).parent))  # the two modules of helpers beside this file

import tiny_models
from given import SHAPES, TASK_LORA, job, no_hook


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tiny tensors on a busy machine: threads only wait for each other."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model, by its architecture."""
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = tiny_models.save(name, tmp_path_factory.mktemp("models") / name)
        return made[name]

    return get


@pytest.fixture(scope="session")
def engine(folder: Callable[[str], Path]) -> Callable[..., Any]:
    """Engines by model and options, each loaded once."""
    from lampbench.engine.batched.engine import BatchedEngine

    made: dict[str, Any] = {}

    def get(name: str = "llama", **options: Any) -> Any:
        given = {
            "device": "cpu",
            "dtype": "float32",
            "chat_template": None,
            "fidelity": PAPER,
        } | options
        key = f"{name} {given}"
        if key not in made:
            made[key] = BatchedEngine(resolve_model(str(folder(name))), **given)
        return made[key]

    return get


@pytest.fixture(scope="session")
def crowd(
    engine: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Path, ...]]:
    """Adapters of a model at random, in different shapes or all in the one given."""
    from lampbench.engine import adapter_files
    from lampbench.engine.lora_init import initial_pairs, lora_config

    made: dict[Any, tuple[Path, ...]] = {}

    def get(name: str = "llama", shapes: Sequence[LoraSpec] = SHAPES) -> tuple[Path, ...]:
        import torch

        if (name, shapes) not in made:
            home = tmp_path_factory.mktemp(f"crowd-{name}")
            model, base = engine(name)._model, engine(name)._base
            for n, lora in enumerate(shapes):
                pairs = initial_pairs(model, lora, seed=n)
                noise = torch.Generator().manual_seed(n)
                for _, second in pairs.values():
                    second.normal_(0, 0.15, generator=noise)
                adapter_files.write(home / str(n), lora_config(model, lora, base), pairs)
            made[name, shapes] = tuple(home / str(n) for n in range(len(shapes)))
        return made[name, shapes]

    return get


@pytest.fixture(scope="session")
def alone(naive: Callable[..., Any]) -> Callable[[str], Any]:
    """The oracle of a model, made once."""
    from alone import Alone

    made: dict[str, Any] = {}

    def get(name: str = "llama") -> Any:
        if name not in made:
            made[name] = Alone(naive(name))
        return made[name]

    return get


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what one pass over prompts or examples may hold, for all engines."""
    from lampbench.engine.batched.batch_size import Planner
    from lampbench.engine.batched.shared_prompts import Budget

    def bound(tokens: int, labels: int = 1 << 20) -> None:
        monkeypatch.setattr(Planner, "budget", property(lambda _: Budget(tokens, labels)))

    return bound


@pytest.fixture(scope="session")
def naive(folder: Callable[[str], Path]) -> Callable[..., Any]:
    """A copy of a model with adapters merged into it by PEFT: nothing of lampbench's."""
    made: dict[tuple[str, ...], Any] = {}

    def get(name: str, *adapters: Path) -> Any:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        key = (name, *map(str, adapters))
        if key not in made:
            model = get(name, *adapters[:-1]) if adapters else None
            if model:
                model = PeftModel.from_pretrained(model, str(adapters[-1])).merge_and_unload()
            made[key] = model or AutoModelForCausalLM.from_pretrained(folder(name)).eval()
        return copy.deepcopy(made[key])

    return get


@pytest.fixture(scope="session")
def adapters(
    engine: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, Path, Path]]:
    """Three trained adapters of a model: TAM, and two users' on top of it."""
    made: dict[str, tuple[Path, Path, Path]] = {}

    def get(name: str = "llama") -> tuple[Path, Path, Path]:
        if name not in made:
            home = tmp_path_factory.mktemp(f"adapters-{name}")
            tam = job(home, "tam", lora=TASK_LORA, seed=1)
            users = [job(home, f"user{i}", frozen=(tam.output,), seed=5 + i) for i in (0, 1)]
            for each in (tam, *users):
                list(engine(name).train([each], no_hook))
            made[name] = (tam.output, users[0].output, users[1].output)
        return made[name]

    return get
