"""The run for a machine with a GPU, rehearsed on the CPU: parts, time limits, wheels, the table."""

import json
import os
import re
import time
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, requires
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from packaging.requirements import Requirement

from benchmarks import roofline
from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import decoding
from benchmarks.gpu.part import Outcome, Part, run_part
from benchmarks.gpu.parts import EQUALITY, all_parts
from benchmarks.gpu.sizes import SMALL, Clock, SpeedPart, largest
from benchmarks.gpu.summary import summary
from benchmarks.gpu.wheels import install_missing, top_modules


def part(folder, name, *code):
    return Part(name, "cpu", 1.0, [["-c", each] for each in code], folder / f"{name}.found.json")


def finds(folder, name, value):
    return f"open({str(folder / f'{name}.found.json')!r}, 'w').write('{json.dumps(value)}')"


def page(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def test_a_part_tells_what_ran_and_what_it_found(tmp_path):
    outcome = run_part(part(tmp_path, "a", finds(tmp_path, "a", [7])), 60, tmp_path)
    found = page(tmp_path, "a")
    assert (outcome.state, found["state"], found["results"]) == ("passed", "passed", [7])
    assert found["versions"]["torch"] and found["machine"]["cores"]
    assert found["device"] == "cpu" and found["exit_code"] == 0 and found["error"] is None
    assert 0 < found["seconds"] < found["limit"] == 60


def test_a_crash_is_told_with_its_last_lines_and_what_was_found_before(tmp_path):
    crash = "print('nearly', flush=True); import os; os.abort()"
    made = part(tmp_path, "a", finds(tmp_path, "a", 1), crash, finds(tmp_path, "a", 2))
    outcome = run_part(made, 60, tmp_path)
    assert (outcome.state, outcome.results) == ("failed", 1)
    assert outcome.exit_code == -6 and outcome.error and "nearly" in outcome.error


def test_a_part_that_hangs_is_ended_with_its_children(tmp_path):
    child = "import time; time.sleep(3600)"
    code = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid, flush=True)\n"
        "time.sleep(3600)"
    )
    # time enough for it to begin, on a busy machine too
    outcome = run_part(part(tmp_path, "a", code), 15, tmp_path)
    assert outcome.state == "timed out"
    started = int((tmp_path / "a.log").read_text().split()[0])
    deadline = time.monotonic() + 30  # a killed process ends when a busy machine comes to it
    while _runs(started) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(started)


def _runs(process):
    """Whether it does something: one that has ended may still wait to be buried."""
    try:
        os.kill(process, 0)
        with open(f"/proc/{process}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_the_exit_code_is_2_unless_every_part_passed(tmp_path, monkeypatch, capsys):
    def of(code):
        parts = [part(tmp_path, "a", f"raise SystemExit({code})"), part(tmp_path, "b", "1")]
        monkeypatch.setattr(gpu, "all_parts", lambda *_: parts)
        return gpu.main(["--device", "cpu", "--output", str(tmp_path), "--budget", "100"])

    assert of(0) == 0
    assert of(3) == 2
    assert page(tmp_path, "b")["state"] == "passed"  # the others go on
    assert "failed" in capsys.readouterr().out
    assert "failed" in (tmp_path / "summary.txt").read_text()


def test_without_time_a_part_is_not_run(tmp_path):
    arguments = ["--device", "cpu", "--output", str(tmp_path), "--budget", "1"]
    assert gpu.main([*arguments, "--only", "doctor"]) == 2
    assert page(tmp_path, "doctor")["state"] == "not run"
    assert gpu.main([*arguments, "--only", "docter"]) == 2


@pytest.mark.parametrize("family", ["decoding", "training"])
def test_speed_parts_on_the_cpu(tmp_path, family):
    arguments = ["--device", "cpu", "--output", str(tmp_path), "--budget", "240"]
    assert gpu.main([*arguments, "--only", f"{family}-tiny"]) == 0
    found = page(tmp_path, f"{family}-tiny")["results"]
    rate = "tokens_per_second" if family == "decoding" else "examples_per_second"
    static = {title: values for title, values in found.items() if title.endswith("static steps")}
    for values in static.values():
        assert values["vs_own_steps"] > 0
        step = values["step_milliseconds"]
        assert step is None or step > 0  # None where a busy machine hides it
        assert (values["answers_that_differ"], values["of_answers"]) == (0, 4)
    assert len(static) == (1 if family == "decoding" else 0)
    for title in found.keys() - static.keys():
        values = found[title]
        assert values[rate] > 0 and values["of_roofline"] > 0 and values["peak_bytes"] > 0
        assert values["vs_reference"]["median"] > 0
        if family == "decoding":
            assert values["vs_peft_mixed"]["median"] > 0
            share = values["steps_of_roofline"]
            assert share is None or share > 0
    assert "of the roofline" in (tmp_path / "summary.txt").read_text()


def test_steps_that_a_busy_machine_hides_have_no_time(monkeypatch, tmp_path):
    assert decoding.step_milliseconds(0.2, 4) == 50.0
    assert decoding.step_milliseconds(-0.1, 4) is decoding.step_milliseconds(0.2, 0) is None
    encoder = SimpleNamespace(encode_prompt=lambda *_: SimpleNamespace(ids=[1, 2]))
    engine = SimpleNamespace(device=torch.device("cpu"), _step="exact", _encoder=encoder)
    asked = [SimpleNamespace(prompt="")]
    work: Any = SimpleNamespace(batched=engine, requests=lambda *_: asked)
    measured = SpeedPart(work, SMALL, Clock(60), {}, tmp_path / "found.json")
    seconds = iter([1.0, 1.0, 0.9, 0.8])  # the first token alone took longer than all
    monkeypatch.setattr(decoding, "_seconds", lambda *_: next(seconds))
    monkeypatch.setattr(roofline, "least_seconds", lambda *_: (0.1, 0.1))
    decoding._alone(measured, "greedy", 10.0)
    found = measured.page["greedy"]
    assert (found["step_milliseconds"], found["steps_of_roofline"]) == (None, None)
    outcome = SimpleNamespace(part="decoding-tiny", state="passed", seconds=1.0, error=None,
                              results=measured.page)  # fmt: skip
    told = summary([cast(Outcome, outcome)])
    assert "reading 0.10" in told and "ms a step" not in told and "steps" not in told


def test_outcomes_of_tests_are_kept_after_each_one(tmp_path):
    tests = tmp_path / "test_x.py"
    tests.write_text(
        "import os\ndef test_a(): pass\ndef test_b(): assert 1 == 2\ndef test_c(): os._exit(9)\n"
    )
    found = tmp_path / "equality.found.json"
    command = ["-m", "pytest", "-p", "benchmarks.gpu.outcomes", "--outcomes", str(found), "-c",
               "/dev/null", str(tests)]  # fmt: skip
    outcome = run_part(Part("equality", "cpu", 1.0, [command], found), 120, tmp_path)
    assert outcome.state == "failed" and outcome.exit_code == 9
    assert (outcome.results["passed"], outcome.results["failed"]) == (1, 1)
    (reason,) = outcome.results["failures"].values()
    assert "assert 1 == 2" in reason
    assert "1 passed, 1 failed, 0 skipped" in summary([outcome])


def test_what_is_missing_is_installed_and_nothing_else(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("absent_here", "pytest"):
        with zipfile.ZipFile(wheels / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "value = 7\n")
            info = f"{name}-1.0.dist-info"
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
                                            "Tag: py3-none-any\n")  # fmt: skip
            wheel.writestr(f"{info}/RECORD", "")
    assert top_modules(wheels / "absent_here-1.0-py3-none-any.whl") == {"absent_here"}
    outcome = install_missing(wheels, tmp_path, 100)
    assert outcome.state == "passed", outcome.error
    assert page(tmp_path, "wheels")["results"]["installed"] == ["absent_here-1.0-py3-none-any.whl"]
    used = run_part(part(tmp_path, "a", "import absent_here; assert absent_here.value == 7"), 60,
                    tmp_path)  # fmt: skip
    assert used.state == "passed"
    assert install_missing(tmp_path, tmp_path, 100).state == "failed"  # no wheels there


def test_the_tests_of_equality_are_there_and_their_device_is_given(root, tmp_path):
    assert all((root / file).is_file() for file in EQUALITY)
    parts = {each.name: each for each in all_parts("cuda", "bfloat16", ["m"], tmp_path)}
    assert list(parts) == ["rates", "equality", "doctor", "demo", "decoding-m", "training-m"]
    (command,) = parts["equality"].commands
    assert command[command.index("--device") + 1] == "cuda"


def test_the_list_of_wheels_has_everything_but_torch_and_transformers(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    there = needed(["torch", "transformers", "peft"])
    wanted = needed([*project["dependencies"], "pytest"]) - there
    assert {"trl", "datasets", "dill", "rouge-score"} <= wanted
    lines = (root / "benchmarks/gpu/wheels.txt").read_text().splitlines()
    listed = {line for line in lines if line and not line.startswith("#")}
    assert wanted - listed == {"rouge-score"}  # make gpu-wheels builds it
    assert "rouge-score" in (root / "Makefile").read_text()
    assert needed(["httpx2"]) - {"typing-extensions"} <= listed  # new in transformers' own needs


def needed(names):
    """The packages of these names, and all that they need without any extra."""
    found, waiting = set(), list(names)
    while waiting:
        wish = Requirement(waiting.pop())
        name = re.sub(r"[-_.]+", "-", wish.name).lower()
        if name in found or (wish.marker and not wish.marker.evaluate({"extra": ""})):
            continue
        try:
            waiting += requires(name) or []
        except PackageNotFoundError:  # of another platform
            continue
        found.add(name)
    return found


def test_sizes_shrink_until_they_fit():
    assert [largest(64, 1.0, allowed) for allowed in (100, 64, 40, 3, 0.1)] == [64, 64, 32, 2, 1]


def test_the_table_tells_why_a_part_failed(tmp_path):
    failed = Outcome.of(part(tmp_path, "a"), "failed", 1.0, 2.0, 1, "first\nno kernel image")
    assert "no kernel image" in summary([failed])


def test_a_measurement_that_fails_is_recorded_and_the_next_one_goes_on(tmp_path):
    found = tmp_path / "found.json"
    made = SpeedPart(None, SMALL, Clock(9), {}, found)  # type: ignore[arg-type]

    def fails():
        raise KeyError("missing")

    made.attempt("first", fails)
    made.attempt("second", lambda: made.record("second", seconds=1.0))
    assert json.loads(found.read_text()) == {
        "first": {"error": "KeyError: 'missing'"},
        "second": {"seconds": 1.0},
    }
    assert made.errors == ["first: KeyError: 'missing'"]
