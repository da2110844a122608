"""The command line on two bundled users, and what completion offers."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.shell_completion import get_completion_class

from lampbench.cli.main import cli
from tests.shared.fake_runs import RecordingEngine
from tests.shared.recorded_fixtures import Call

Complete = Callable[..., list[str]]

SMALL = ("--task", "news_headline", "--users", "2")


@pytest.fixture
def small_run(call: Call, on_fake_engine: RecordingEngine) -> Call:
    """`lampbench run` on two bundled users, with an engine that computes nothing."""
    return lambda *arguments: call("run", *SMALL, *arguments)


@pytest.fixture
def planned(call: Call) -> Callable[..., tuple[list[dict[str, Any]], str]]:
    """The plans of a run on two bundled users, and what was printed on standard error."""

    def plan(*arguments: str) -> tuple[list[dict[str, Any]], str]:
        code, out, err = call("run", *SMALL, "--dry-run", "--format", "json", *arguments)
        assert code == 0, err
        found: list[dict[str, Any]] = json.loads(out)["plans"]
        return found, err

    return plan


@pytest.fixture
def complete() -> Complete:
    """A function that completes the last of some words, as a shell asks for it."""

    def offered(*words: str) -> list[str]:
        shell = get_completion_class("zsh")
        assert shell is not None
        *done, last = words
        found = shell(cli, {}, "lampbench", "_LAMPBENCH_COMPLETE").get_completions(done, last)
        return [str(item.value) for item in found]

    return offered
