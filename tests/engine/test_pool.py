"""The pool of engines: which engine is loaded, how many at once, and what identifies a model."""

from pathlib import Path

import pytest

from lampbench.core.fidelity import PAPER
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.engine.divided_engine import DividedEngine
from lampbench.engine.engine_argument import EngineArgument
from lampbench.engine.pool import EngineOptions, EnginePool
from lampbench.engine.reference.engine import ReferenceEngine
from lampbench.engines.batched import Batched
from lampbench.engines.openai import OpenAI
from lampbench.execution.cache import Cache
from lampbench.execution.engine_plugins import EnginePlugins
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError
from lampbench.util.progress import Progress


@pytest.fixture
def pool(tmp_path):
    def make(**options):
        cache = Cache(tmp_path, print)
        given = EngineOptions(device="cpu", **options)
        return EnginePool(given, PAPER, cache, Progress(), Registry().engine)

    return make


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, BatchedEngine),
        ({"engine": "batched", "batch_size": 3}, BatchedEngine),
        ({"engine": "reference"}, ReferenceEngine),
    ],
)
def test_the_engine_asked_for_is_loaded_once(pool, model_folder, options, kind):
    made = pool(**options)
    name = str(model_folder("llama"))
    assert made.device(name) == "cpu"
    opened = made.get(name)
    engine = opened.engine
    fast = engine.batched if isinstance(engine, DividedEngine) else engine
    assert type(fast) is kind
    assert made.get(name) is opened


def test_an_unknown_engine_is_an_error(pool, model_folder):
    with pytest.raises(LampbenchError, match="no engine is called 'nothing': there are batched"):
        pool(engine="nothing").get(str(model_folder("llama")))


def test_an_option_that_no_engine_of_the_run_uses_is_refused(pool):
    made = pool()
    made.require_used(["vllm", "batched"])
    made.require_used([])
    with pytest.raises(LampbenchError, match="--device does nothing with --engine vllm"):
        made.require_used(["vllm", "openai"])
    pool(batch_size=2).require_used(["reference", "batched"])
    with pytest.raises(LampbenchError, match="--batch-size does nothing with --engine reference"):
        pool(batch_size=2).require_used(["reference"])


def test_an_engine_is_not_told_what_it_ignores(pool):
    """Its key and its manifest would name what another engine of the run was told."""
    made = pool(dtype="float32", engine_arguments={"openai": {"api_base": "http://localhost:1"}})
    local, remote = made.setup("bundled-small"), made.setup("any", "openai")
    assert (local.device, local.dtype) == ("cpu", "float32")
    assert (remote.device, remote.dtype, made.identity("any", "openai")["dtype"]) == (None, "", "")
    assert made.device("any", "openai") == "auto"


def test_one_engine_is_in_memory_at_a_time(pool, model_folder):
    made = pool()
    first = made.get(str(model_folder("llama")))
    made.get(str(model_folder("qwen")))
    assert list(made._open) == [("batched", str(model_folder("qwen")))]
    assert made.get(str(model_folder("llama"))) is not first


def test_a_models_identity_is_what_its_answers_depend_on(pool, model_folder):
    name = str(model_folder("llama"))
    usual = pool().identity(name)
    assert usual.keys() == {"fingerprint", "dtype", "chat_template"}
    assert (usual["dtype"], usual["chat_template"]) == ("float32", None)
    changed = [
        pool(dtype="bfloat16").identity(name),
        pool(chat_template="llama").identity(name),
        pool(engine="reference").identity(name),
        pool().identity(str(model_folder("qwen"))),
    ]
    assert all(identity != usual for identity in changed)
    assert pool(batch_size=1).identity(name) == usual
    assert Path(name).name not in str(usual)


SHIFT = EngineArgument("shift", str, "changes answers", "a")
SPEED = EngineArgument("speed", str, "changes no answer", "a", keyed=False)


class Mine(Batched):
    name = "mine"
    arguments = (SHIFT, SPEED)


class MyServer(OpenAI):
    name = "mine"
    arguments = (*OpenAI.arguments, SHIFT, SPEED)  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("kind", "needed"), [(Mine, {}), (MyServer, {"api_base": "http://localhost:1/v1"})]
)
def test_arguments_of_an_engine_that_inherits_are_in_its_identity(tmp_path, kind, needed):
    def identity(**given):
        options = EngineOptions(engine="mine", engine_arguments={"mine": {**needed, **given}})
        cache = Cache(tmp_path, print)
        made = EnginePool(options, PAPER, cache, Progress(), lambda name: kind(),
                          foreign_code=EnginePlugins.foreign_code)  # fmt: skip
        return made.identity("bundled-small")

    usual = identity()
    assert usual == identity(shift="a") == identity(speed="b") != identity(shift="b")
    assert usual["engine"].keys() >= {"code", "name", "shift", "version"}
