"""`lampbench doctor`: what works, what does not, and what to do; never hangs."""

import json
import re
import shutil
import socket
import time
from importlib import metadata
from pathlib import Path

import pytest

from lampbench.engine.models import resolve_model
from lampbench.study import check_machine as machine
from lampbench.study.check_model import check_model
from lampbench.util.machine import releases


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def doctor(call):
    """The checks by name, and the exit code."""

    def run(*arguments):
        code, out, err = call("doctor", "--format", "json", *arguments)
        assert err == ""
        found = json.loads(out)
        checks = {each["name"]: each for each in found["checks"]}
        assert len(checks) == len(found["checks"])
        assert found["wrong"] == sum(each["state"] == "wrong" for each in checks.values())
        return checks, code

    return run


def test_a_sound_machine(doctor, call):
    checks, code = doctor("--model", "bundled")
    assert code == 0
    for name in ("python", "lampbench", "torch", "transformers", "peft", "cache", "results",
                 "plugins", "files", "tokenizer", "chat template", "eos", "prompt"):  # fmt: skip
        assert checks[name]["state"] == "ok", checks[name]
    assert {"memory", "hub", "bert-score", "vllm", "ray"} <= checks.keys()
    code, out, _ = call("doctor")
    assert code == 0 and out.splitlines()[-1].startswith("0 wrong, ")
    assert all(line.split("  ")[0] in ("ok", "note") for line in out.splitlines()[:-2])


@pytest.mark.parametrize(
    ("version", "said"), [("2.5.1", "2.5.1 is too old"), (None, "not installed")]
)
def test_a_package_that_stops_runs(doctor, monkeypatch, version, said):
    monkeypatch.setattr(machine, "releases", lambda names: {
        **releases(names), **({"torch": version} if "torch" in names else {})
    })  # fmt: skip
    checks, code = doctor()
    assert code == 1
    assert checks["torch"]["state"] == "wrong"
    assert checks["torch"]["text"].startswith(said)
    assert "pip install 'torch>=2.6'" in checks["torch"]["text"]


def test_a_package_that_is_optional_says_what_needs_it(doctor, monkeypatch):
    monkeypatch.setattr(machine, "releases", lambda names: dict.fromkeys(names, None))
    checks, _ = doctor()
    for package in machine.OPTIONAL:
        state, text = checks[package]["state"], checks[package]["text"]
        assert state == "note"
        assert re.search(r"; needed for .+; pip install 'lampbench\[\w+\]'$", text)


def test_what_is_asked_for_is_what_the_project_file_says(monkeypatch, root):
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    monkeypatch.setattr(metadata, "requires", lambda _: project["dependencies"])
    checks = list(machine.check_packages())
    assert len(checks) == len(project["dependencies"])
    assert all(each.state == "ok" for each in checks), checks


def test_the_hub_never_hangs(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        check = machine.check_hub(0.5)
        assert time.monotonic() - began < 20
    assert check.state == "note" and ("did not answer" in check.text or "timed out" in check.text)
    refused = machine.check_hub(0.5)
    assert refused.state == "note" and "cannot be reached" in refused.text


def test_a_function_that_hangs_is_left():
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        machine.within(0.2, lambda: time.sleep(30))
    assert time.monotonic() - began < 20
    with pytest.raises(ZeroDivisionError):
        machine.within(5, lambda: 1 / 0)


def test_a_plugin_that_does_not_load(doctor, tmp_path):
    plugin = tmp_path / "broken.py"
    plugin.write_text(
        "from lampbench.plugin import Method, register_method\n"
        "import nonsense_that_is_not_there\n"
        "@register_method('broken')\nclass Broken(Method):\n    '''Broken.'''\n"
    )
    checks, code = doctor("--plugins", str(plugin))
    assert code == 1
    assert checks["method broken"]["state"] == "wrong"
    assert "nonsense_that_is_not_there" in checks["method broken"]["text"]
    assert "plugins" not in checks


def test_a_folder_that_cannot_be_written(doctor, tmp_path):
    (tmp_path / "file").write_text("x")
    checks, code = doctor("--cache-dir", str(tmp_path / "file" / "cache"))
    assert (checks["cache"]["state"], code) == ("wrong", 1)
    assert checks["cache"]["text"].endswith("file is not a folder; choose another with --cache-dir")
    assert not (tmp_path / "results").exists(), "nothing is made"


@pytest.fixture
def model(tmp_path):
    return shutil.copytree(Path(resolve_model("bundled").location), tmp_path / "model")


def states(folder):
    return {each.name: each for each in check_model(str(folder))}


def test_a_model_without_a_chat_template(model):
    for file in model.glob("chat_template*"):
        file.unlink()
    config = model / "tokenizer_config.json"
    values = json.loads(config.read_text())
    values.pop("chat_template", None)
    config.write_text(json.dumps(values))
    found = states(model)
    assert found["tokenizer"].state == "ok"
    assert found["model"].state == "wrong" and "--chat-template" in found["model"].text


DAMAGE = {
    "no weights": "no weights (*.safetensors); download or save the model again",
    "empty weights": "model.safetensors is empty; download or save the model again",
    "no tokenizer": "the tokenizer of model",
    "no folder": "neither a folder nor a hub id",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_model_that_stops_runs(model, damage):
    if damage == "no folder":
        shutil.rmtree(model)
    for file in list(model.glob("*.safetensors")):
        if damage == "no weights":
            file.unlink()
        if damage == "empty weights":
            file.write_bytes(b"")
    if damage == "no tokenizer":
        for file in model.glob("tokenizer*"):
            file.unlink()
    found = states(model)
    assert found["model"].state == "wrong"
    assert DAMAGE[damage] in found["model"].text
