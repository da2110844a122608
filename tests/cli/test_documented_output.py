"""The documents name every key of every JSON document, and the shells that complete."""

import json
import re

import pytest

DOCUMENTED = ("list", "show", "overview", "examples", "run", "check")
FREE = {"overrides", "scores", "hyperparameters", "presets", "fields"}
"""Keys of these are names of settings, metrics, presets and fields."""


@pytest.fixture(scope="module")
def section(root):
    page = (root / "docs" / "json-output.md").read_text(encoding="utf-8")
    return re.sub(r"```.*?```", "", page, flags=re.DOTALL)


def keys(value):
    """All keys of a document, those inside free names too."""
    if isinstance(value, list):
        return {key for each in value for key in keys(each)}
    if not isinstance(value, dict):
        return set()
    found = set()
    for name, inside in value.items():
        found.add(name)
        found |= keys(
            list(inside.values()) if name in FREE and isinstance(inside, dict) else inside
        )
    return found


@pytest.mark.parametrize(
    "command",
    [
        ["list", "methods"],
        ["list", "tasks"],
        ["list", "metrics"],
        ["list", "models"],
        ["list", "runs"],
        ["show", "method", "cope", "--task", "news_headline"],
        ["show", "task", "news_headline"],
        ["overview", "--task", "news_headline", "--method", "base", "--method", "cope"],
        ["examples", "--task", "news_headline", "--method", "base", "--method", "cope"],
        ["check", "metric", "words"],
        ["run", "--method", "base", "--task", "news_headline", "--users", "2", "--dry-run"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_every_key_is_documented(scored, call, section, command):
    scored("base", {"a": [0.2, 0.1], "b": [0.3]})
    scored("cope", {"a": [0.4, 0.3], "b": [0.1]})
    code, out, _ = call(*command, "--format", "json")
    assert code == 0
    named = set(re.findall(r"`([^`]+)`", section))
    assert keys(json.loads(out)) - named == set()
    words = [word for word in command if word in DOCUMENTED]
    name = " ".join(command[:2]) if words[0] in ("list", "show") else words[0]
    assert f"| `{name}` |" in section


def test_completion_is_documented_for_each_shell(root):
    guide = (root / "docs" / "guide.md").read_text(encoding="utf-8")
    for shell in ("bash", "zsh", "fish"):
        assert f"_LAMPBENCH_COMPLETE={shell}_source lampbench" in guide
