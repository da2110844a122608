"""Engines on a stand-in for a vLLM server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.fidelity import PAPER
from lampbench.engine.engine_argument import engine_arguments
from lampbench.engine.engine_plugin import EngineSetup
from lampbench.engine.models import resolve_model
from lampbench.engines import vllm
from lampbench.execution.cache import Cache
from tests.engine.vllm.stand_in import StandIn


@pytest.fixture
def server(model_folder: Callable[[str], Path]) -> Iterator[StandIn]:
    """A stand-in that serves the tiny Llama."""
    from transformers import AutoTokenizer

    folder = model_folder("llama")
    tokens = AutoTokenizer.from_pretrained(folder)
    made = StandIn(
        str(folder),
        len(tokens),
        lambda text: list(tokens(text, add_special_tokens=False).input_ids),
    )
    yield made
    made.stop()


@pytest.fixture
def setup_of(model_folder: Callable[[str], Path], tmp_path: Path) -> Callable[..., EngineSetup]:
    """Setups of the engine by its arguments; `said` collects its messages."""

    def make(name: str = "llama", said: list[str] | None = None, **arguments: Any) -> EngineSetup:
        say = (lambda text: None) if said is None else said.append
        options = {"batch_size": arguments.pop("batch_size", 4)}
        return EngineSetup(
            model=resolve_model(str(model_folder(name))),
            dtype=arguments.pop("dtype", "float32"),
            fidelity=PAPER,
            store=Cache(tmp_path / "cache", say),
            say=say,
            arguments=engine_arguments("vllm", vllm.Vllm.arguments, arguments),
            **options,
        )

    return make


@pytest.fixture
def client(setup_of: Callable[..., EngineSetup], server: StandIn) -> Iterator[Callable[..., Any]]:
    """Engines that have joined the stand-in; closed afterwards."""
    made: list[Any] = []

    def open_one(**arguments: Any) -> Any:
        setup = setup_of(**{"url": server.url, "patience": 5} | arguments)
        made.append(vllm.Vllm().open(setup))
        return made[-1]

    yield open_one
    for each in made:
        vllm.Vllm().close(each)
