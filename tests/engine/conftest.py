"""Engines on tiny models, and the prompts and jobs that the tests give them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lampbench.fidelity import PAPER
from lampbench.models import resolve

sys.path.insert(0, str(Path(__file__).parent))  # the two modules of helpers beside this file

import tiny_models
from given import TASK_LORA, job, no_hook


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
    from lampbench.engine.hf import HFEngine

    made: dict[str, Any] = {}

    def get(name: str = "llama", **options: Any) -> Any:
        given = {"device": "cpu", "dtype": "float32", "template": None, "fidelity": PAPER} | options
        key = f"{name} {given}"
        if key not in made:
            made[key] = HFEngine(resolve(str(folder(name))), **given)
        return made[key]

    return get


@pytest.fixture(scope="session")
def naive(folder: Callable[[str], Path]) -> Callable[..., Any]:
    """A copy of a model with adapters merged into it by PEFT: nothing of lampbench's."""

    def get(name: str, *adapters: Path) -> Any:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(folder(name)).eval()
        for adapter in adapters:
            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
        return model

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
