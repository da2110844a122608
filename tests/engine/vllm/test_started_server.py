"""A server that lampbench starts: its life, and what is said when it does not live."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec
from lampbench.engine.vllm import vllm_environment as environments
from lampbench.engine.vllm.http_client import ServerGone
from lampbench.engine.vllm.server_process import ServerProcess
from lampbench.engine.vllm.started_server import ServerSettings, StartedServer
from lampbench.engine.vllm.vllm_environment import NEEDED
from lampbench.engines import vllm
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import prompt

PROGRAM = """
import json, os, sys, time
sys.path.insert(0, {root!r})
if "-I" in sys.argv:  # what is installed here?
    print(json.dumps({installed!r}))
    sys.exit()
from pathlib import Path
told = Path(__file__).with_name("told.jsonl")
with told.open("a") as file:
    print(json.dumps(dict(arguments=sys.argv, key=os.environ["VLLM_API_KEY"],
                          pid=os.getpid(), v2=os.environ.get("VLLM_USE_V2_MODEL_RUNNER"))),
          file=file)
{before}
from tests.engine.vllm.stand_in import StandIn
from transformers import AutoTokenizer
def given(name):
    return sys.argv[sys.argv.index(name) + 1]
tokens = AutoTokenizer.from_pretrained(given("--model"))
made = StandIn(given("--model"), len(tokens),
               lambda text: tokens(text, add_special_tokens=False).input_ids,
               port=int(given("--port")), name="served")
made.key = os.environ["VLLM_API_KEY"]
made.plugin = "twin" if "--hf-overrides" in sys.argv else "processor"
{after}
time.sleep(1000)
"""


@pytest.fixture
def fake_python(tmp_path, request):
    """An interpreter whose vLLM is the stand-in; `before` and `after` are its own lines."""

    def make(before="", after="", installed=None):
        found = {"vllm": "0.32.0", "lampbench-vllm": NEEDED} if installed is None else installed
        script = tmp_path / "server.py"
        script.write_text(PROGRAM.format(
            root=str(request.config.rootpath), installed=found, before=before, after=after
        ))  # fmt: skip
        program = tmp_path / "python"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
        program.chmod(0o755)
        return str(program)

    return make


@pytest.fixture
def started(setup_of):
    """Engines that start their server; closed afterwards."""
    plugin, made = vllm.Vllm(), []

    def open_one(python, **arguments):
        made.append(plugin.open(setup_of(python=python, **arguments)))
        return made[-1]

    yield open_one
    for each in made:
        plugin.close(each)


def told(tmp_path):
    import json

    return [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0] != "Z"


def gone_soon(pid):
    end = time.monotonic() + 60
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


SIX = GenerationSpec(6)


def requests(count=1, weights=(), spec=SIX):
    return [GenerateRequest(f"q{n}", prompt(n), weights, spec) for n in range(count)]


def test_it_is_started_when_it_is_needed_and_stopped_afterwards(setup_of, fake_python, tmp_path):
    plugin = vllm.Vllm()
    engine = plugin.open(setup_of(python=fake_python()))
    assert not (tmp_path / "told.jsonl").exists()
    assert len(list(engine.generate(requests(3)))) == 3
    (server,) = told(tmp_path)
    assert alive(server["pid"])
    assert len(server["key"]) == 32
    assert server["arguments"][server["arguments"].index("--host") + 1] == "127.0.0.1"
    plugin.close(engine)
    assert gone_soon(server["pid"])
    assert not list((tmp_path / "cache/partial/vllm").iterdir())


def test_what_a_server_is_told(started, fake_python, tmp_path, random_adapters):
    first, _, third = random_adapters()[:3]
    engine = started(fake_python(), server_args="--gpu-memory-utilization '0.5'", max_loras=3)
    list(engine.generate(requests(weights=(first, third))))
    arguments = told(tmp_path)[0]["arguments"]

    def given(name):
        return arguments[arguments.index(name) + 1]

    assert (given("--max-lora-rank"), given("--max-loras"), given("--dtype")) == (
        "16", "3", "float32"
    )  # fmt: skip
    assert given("--generation-config") == "vllm"
    assert given("--gpu-memory-utilization") == "0.5"
    targets = arguments[arguments.index("--lora-target-modules") + 1 :]
    assert "lm_head" not in arguments
    assert {"q_proj", "down_proj"} <= set(targets)
    assert told(tmp_path)[0]["v2"] == "0"


def test_contrast_is_served_by_the_model_with_the_other_side_merged(
    started, fake_python, tmp_path, random_adapters, plain_peft, merged_model
):
    import torch
    from transformers import AutoModelForCausalLM

    tam, user = random_adapters()[:2]
    engine = started(fake_python())
    spec = GenerationSpec(6, contrast=Contrast((tam,), 0.3, 0.1))
    list(engine.generate(requests(weights=(tam, user), spec=spec)))
    list(engine.generate(requests(weights=(tam, user), spec=spec)))
    (server,) = told(tmp_path)
    folder = server["arguments"][server["arguments"].index("--model") + 1]
    found = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    for name, weight in merged_model("llama", tam).state_dict().items():
        assert torch.allclose(found[name], weight, atol=1e-6), name
    list(engine.generate(requests(weights=(tam, user))))  # without a contrast: the model itself
    assert len(told(tmp_path)) == 2
    assert gone_soon(server["pid"])


def test_one_that_is_killed_in_mid_run_is_started_again(started, fake_python, tmp_path):
    said: list[str] = []
    engine = started(fake_python(), said=said)
    answers = engine.generate(requests(40))
    found = [next(answers)]
    os.kill(told(tmp_path)[0]["pid"], signal.SIGKILL)
    found += answers
    assert {one.id for one in found} == {f"q{n}" for n in range(40)}
    assert len(found) == 40
    assert len(told(tmp_path)) == 2
    assert any("starting it again" in line for line in said)


def test_one_that_ends_again_and_again_is_given_up(started, fake_python, tmp_path):
    after = "made.fault = lambda path, body: os._exit(3) if 'completions' in path else None"
    engine = started(fake_python(after=after))
    with pytest.raises(
        LampbenchError, match=r"ended 3 times without an answer|failed 4 times"
    ) as raised:
        list(engine.generate(requests(2)))
    assert "\n" not in str(raised.value)
    # one, three again, and one more for each that is gone before it is asked
    assert 2 <= len(told(tmp_path)) <= 7


CAUSES = {
    "kv cache": ("raise ValueError('To serve at least one request with the max seq len (4096), "
                 "8 GiB KV cache is needed')", "KV cache is needed; lower --batch-size"),
    "memory": ("raise RuntimeError('CUDA out of memory')", "CUDA out of memory"),
    "argument": ("sys.exit('api_server.py: error: unrecognized arguments: --max-loras')",
                 "unrecognized arguments"),
    "a warning before": (
        "print('(APIServer) WARNING 11-26 [x.py] OSError: [Errno 24] Too many open files')\n"
        "raise ValueError('no KV cache')",
        "vLLM did not start: no KV cache",
    ),
    "silence": ("sys.exit(1)", "it ended"),
}  # fmt: skip


@pytest.mark.parametrize("what", CAUSES)
def test_one_that_does_not_start_says_why_in_one_line(started, fake_python, what):
    before, message = CAUSES[what]
    with pytest.raises(LampbenchError, match="vLLM did not start") as raised:
        list(started(fake_python(before=before)).generate(requests()))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_environment_without_vllm(setup_of, fake_python, tmp_path):
    python = fake_python(installed={})
    for ask in (vllm.Vllm().check, vllm.Vllm().able, vllm.Vllm().identity):
        with pytest.raises(LampbenchError, match="its environment has no vLLM"):
            ask(setup_of(python=python))
    with pytest.raises(LampbenchError, match="no Python interpreter that can be run"):
        vllm.Vllm().check(setup_of(python=str(tmp_path / "nothing")))


@pytest.mark.parametrize(("version", "old"), [("0.1.0", True), (NEEDED, False), ("0.10.0", False)])
def test_a_plugin_that_is_too_old_is_told(setup_of, fake_python, version, old):
    python = fake_python(installed={"vllm": "0.32.0", "lampbench-vllm": version})
    if old:
        with pytest.raises(LampbenchError, match=r"lampbench-vllm 0\.1\.0, and 0\.2\.0 is needed"):
            vllm.Vllm().able(setup_of(python=python))
    else:
        vllm.Vllm().able(setup_of(python=python))


def test_without_the_plugin_it_cannot_contrast(setup_of, fake_python):
    able = vllm.Vllm().able(setup_of(python=fake_python(installed={"vllm": "1"})))
    from lampbench.engine.capability import Capability

    assert Capability.CONTRAST not in able
    assert Capability.LORA in able


def test_it_ends_when_lampbench_is_killed(fake_python, tmp_path, model_folder, request):
    """Not even SIGKILL leaves a server behind."""
    program = textwrap.dedent(f"""
        import sys, threading
        sys.path.insert(0, {str(request.config.rootpath)!r})
        from pathlib import Path
        from lampbench.engine.vllm.server_process import ServerProcess
        made = ServerProcess({fake_python()!r}, ["--model", {str(model_folder("llama"))!r}],
                             Path({str(tmp_path / "log")!r}), variables={{}},
                             stopped=threading.Event())
        print("ready", flush=True)
        threading.Event().wait()
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    server = told(tmp_path)[0]["pid"]
    assert alive(server)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone_soon(server)


def test_nobody_waits_for_a_server_when_the_run_is_stopped(fake_python, tmp_path, model_folder):
    stopped = threading.Event()

    def stop_when_it_has_begun():
        file = tmp_path / "told.jsonl"
        while not (file.exists() and file.read_text().endswith("\n")):
            time.sleep(0.05)
        stopped.set()

    threading.Thread(target=stop_when_it_has_begun, daemon=True).start()
    arguments = ["--model", str(model_folder("llama"))]
    with pytest.raises(ServerGone):
        ServerProcess(fake_python(before="time.sleep(1000)"), arguments, tmp_path / "log",
                      variables={}, stopped=stopped)  # fmt: skip
    assert gone_soon(told(tmp_path)[0]["pid"])


def test_an_interruption_stops_what_is_under_way(started, fake_python, tmp_path):
    """Closing the generator does not wait for answers that take long."""
    after = (
        "made.fault = lambda path, body: time.sleep(60) if body and len(made.asked) > 5 else None"
    )
    engine = started(fake_python(after=after))
    answers = engine.generate(requests(40))
    next(answers)
    began = time.monotonic()
    answers.close()
    assert time.monotonic() - began < 50


def test_no_contrastive_form_of_an_architecture(model_folder, fake_python, tmp_path):
    from lampbench.engine.model_arguments import NOTHING_GIVEN
    from lampbench.engine.models import resolve_model
    from lampbench.engine.vllm.model_shapes import model_shapes
    from lampbench.engine.vllm.serving import Serving

    spec = resolve_model(str(model_folder("gemma-vision")))
    server = StartedServer(
        environments.vllm_environment(fake_python()),
        model_shapes(spec, NOTHING_GIVEN),
        ServerSettings(dtype="float32", max_loras=1, max_cpu_loras=1, batch_size=1),
        lambda weights: spec,
        tmp_path / "log",
        lambda text: None,
    )
    with pytest.raises(LampbenchError, match="no contrastive form of Gemma3ForConditional"):
        server.prepare(Serving((), True, False), 16, threading.Event())
