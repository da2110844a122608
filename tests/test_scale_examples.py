"""The examples of docs/scale.md, with stand-ins for the schedulers and for lampbench."""

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
import yaml

from lampbench.cli.run import run
from lampbench.execution.shard import parse_shard
from tests.shared.pages import text

STAND_IN = """#!/bin/sh
echo "$CUDA_VISIBLE_DEVICES|$HF_HOME|$(basename "$0") $*" >> "$CALLS"
exit "${CODE:-0}"
"""


def example(first: str) -> str:
    """The indented block of the page that begins with this line."""
    found = re.search(
        rf"^    {re.escape(first)}$(\n    .*|\n(?=\n    ))*", text("docs/scale.md"), re.M
    )
    assert found, first
    return textwrap.dedent(found[0])


@pytest.fixture
def shell(tmp_path):
    """Runs a shell with stand-ins: its exit code, and what was called, with devices and models."""
    for name in ("lampbench", "scontrol"):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(STAND_IN)
        file.chmod(0o755)
    activate = tmp_path / "shared/venv/bin/activate"
    activate.parent.mkdir(parents=True)
    activate.write_text("activated=yes\n")

    def call(command: list[str], **variables: str) -> tuple[int, list[list[str]]]:
        calls = tmp_path / "calls"
        calls.write_text("")
        path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
        done = subprocess.run(
            [word.replace("/shared", str(tmp_path / "shared")) for word in command],
            env={"PATH": path, "CALLS": str(calls), **variables},
            check=False,
            capture_output=True,
            text=True,
        )
        assert not done.stderr, done.stderr
        return done.returncode, [line.split("|") for line in calls.read_text().splitlines()]

    return call


def shards(called: list[list[str]]) -> list[str]:
    """The shards of calls, whose options are those of the command."""
    found = []
    for _, _, command in called:
        name, subcommand, *arguments = command.split()
        assert (name, subcommand) == ("lampbench", "run")
        context = run.make_context("run", arguments)
        found.append(str(parse_shard(context.params["shard"])))
    return found


def test_local_processes(shell):
    code, called = shell(["bash", "-c", example("for i in 0 1 2 3; do")])
    assert code == 0
    assert sorted(shards(called)) == ["0/4", "1/4", "2/4", "3/4"]
    assert all(device == command.split()[-1][0] for device, _, command in called)


def test_a_slurm_array(shell, tmp_path):
    script = example("#!/bin/bash")
    asked = re.search(r"--array=0-(\d+) ", script)
    assert asked
    count = int(asked[1]) + 1
    done = []
    for index in range(count):
        variables = {"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(index)}
        code, called = shell(["bash", "-c", script], **variables)
        assert code == 0
        done += shards(called)
        assert called[0][1] == str(tmp_path / "shared/huggingface")
    assert done == [f"{index}/{count}" for index in range(count)]
    assert shell(["bash", "-c", script], CODE="2", **variables)[0] == 2
    code, called = shell(["bash", "-c", script], CODE="75", **variables)
    assert code == 75, "the time of --max-hours is over"
    assert called[1][2] == f"scontrol requeue 77_{count - 1}"


def test_a_kubernetes_job(shell, tmp_path):
    spec = yaml.safe_load(example("apiVersion: batch/v1"))["spec"]
    assert spec["completionMode"] == "Indexed" and spec["backoffLimitPerIndex"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["restartPolicy"] == "Never"
    mounted = {volume["name"] for volume in pod["volumes"]}
    places = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert places == dict.fromkeys(mounted, "/shared")
    variables = {one["name"]: one["value"] for one in container["env"]}
    done = []
    for index in range(spec["completions"]):
        command = [*container["command"], *container["args"]]
        code, called = shell(command, JOB_COMPLETION_INDEX=str(index), **variables)
        assert code == 0
        done += shards(called)
    assert done == [f"{index}/{spec['completions']}" for index in range(spec["completions"])]
    assert Path(str(tmp_path / "shared/cache")) == Path(called[0][2].split()[-5])
