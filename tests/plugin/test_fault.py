"""A fault in a plugin is told in one line with its file and line, and never as lampbench's."""

import pytest

from lampbench.cli.main import main
from lampbench.execution.runner import execute
from lampbench.plugin import Answer, LampbenchError
from lampbench.plugin.fault import fault_of_plugin, told_as_the_plugins
from lampbench.scoring import Scoring, score_predictions
from lampbench.scoring.prediction_row import PredictionRow

HEAD = """
from dataclasses import dataclass
from lampbench.plugin import *
"""
PREDICT = """
@register_method("bad")
class Bad(Method):
    def predict(self, context, users):
        yield from [1 / 0 for user in users]
"""
RENDER = """
@dataclass(frozen=True)
class Mine(Prompting):
    def render(self, context, user, item):
        return {}["missing"]

@register_method("bad")
class Bad(Method):
    prompting = Mine()
"""
SPEC = """
@dataclass(frozen=True)
class Mine(Decoding):
    def spec(self, context, user):
        return user.nothing

@register_method("bad")
class Bad(Method):
    decoding = Mine()
"""
BUILD = """
@dataclass(frozen=True)
class Mine(UserRecipe):
    section = "mine"
    uses_prompting = False
    def build(self, context, users):
        for user in users:
            raise RuntimeError("two\\nlines")
        yield

@dataclass(frozen=True)
class Shows(Prompting):
    mine: Mine = Mine()
    def render(self, context, user, item):
        return context.task.prompt(item.fields)

@register_method("bad")
class Bad(Method):
    prompting = Shows()
"""
LIBRARY = """
import json

@dataclass(frozen=True)
class Mine(Prompting):
    def render(self, context, user, item):
        return json.loads("no json")

@register_method("bad")
class Bad(Method):
    prompting = Mine()
"""
OFFERED = """
@dataclass(frozen=True)
class Mine(Prompting):
    def render(self, context, user, item):
        return context.task.prompt({})

@register_method("bad")
class Bad(Method):
    prompting = Mine()
"""
FUNCTION = """
from typing import Any, Callable

def loader(user):
    return user.profile.upper()

@dataclass(frozen=True)
class Mine(Prompting):
    load: Callable[[Any], str] = loader
    def render(self, context, user, item):
        return self.load(user)

@register_method("bad")
class Bad(Method):
    prompting = Mine()
"""


def line_of(source: str, text: str) -> int:
    return next(n for n, line in enumerate(source.splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("body", "at", "entry", "cause"),
    [
        (PREDICT, "1 / 0", "Bad.predict", "ZeroDivisionError"),
        (RENDER, '{}["missing"]', "Mine.render", "KeyError: 'missing'"),
        (SPEC, "user.nothing", "Mine.spec", "AttributeError"),
        (BUILD, "RuntimeError", "Mine.build", "RuntimeError: two"),
        (LIBRARY, "json.loads", "Mine.render", "JSONDecodeError"),
        (OFFERED, "prompt({})", "Mine.render", "KeyError: 'text'"),
        (FUNCTION, "profile.upper", "Mine.render", "AttributeError"),
    ],
)
def test_a_fault_in_a_method_is_told_with_its_line(planner, tmp_path, body, at, entry, cause):
    plugin = tmp_path / "bad.py"
    plugin.write_text(HEAD + body)
    with pytest.raises(LampbenchError) as told:
        execute(planner("bad", plugins=[plugin]), "lampbench run", tmp_path / "results")
    where = f"{plugin}:{line_of(HEAD + body, at)}"
    assert f"failed in {entry}() at {where}: {cause}" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (PREDICT.replace("yield from [1 / 0 for user in users]", "return None"),
         "predict() of method bad returned None: make it yield one Prediction per query"),
        (RENDER.replace('{}["missing"]', '"a string"'), "not a Prompt; fix render() of Mine"),
        (SPEC.replace("user.nothing", "None"), "which is not a GenerationSpec; fix spec() of Mine"),
        (BUILD.replace("raise RuntimeError", "str").replace("    yield\n", ""),
         "build() of Mine returned None: make it yield each user"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_told_as_the_plugins(planner, tmp_path, body, complaint):
    plugin = tmp_path / "bad.py"
    plugin.write_text(HEAD + body)
    with pytest.raises(LampbenchError) as told:
        execute(planner("bad", plugins=[plugin]), "lampbench run", tmp_path / "results")
    assert complaint in str(told.value)


def test_a_circle_of_prompts_and_artifacts_is_told(planner, tmp_path):
    plugin = tmp_path / "bad.py"
    plugin.write_text(HEAD + BUILD.replace("    uses_prompting = False\n", ""))
    with pytest.raises(LampbenchError, match="set uses_prompting = False on Mine"):
        planner("bad", plugins=[plugin])


METRIC = """
from lampbench.plugin import Metric, register_metric

@register_metric("bad")
class Bad(Metric):
    title = "Bad"
    def score(self, answer):
        return answer.text.nothing
"""


def test_a_fault_in_a_metric_is_told_with_its_line(tmp_path):
    plugin = tmp_path / "bad.py"
    plugin.write_text(METRIC)
    row = PredictionRow("ann", "q", "text", "text", truncated=False)
    with pytest.raises(LampbenchError) as told:
        score_predictions([row], None, Scoring(("bad",), (plugin,)))
    where = f"{plugin}:{line_of(METRIC, 'nothing')}"
    assert f"metric bad failed on query 'q' of 'ann' in Bad.score() at {where}" in str(told.value)


TASK = """
from lampbench.plugin import Task, register_task

@register_task("bad")
class Bad(Task):
    title, family, fields, target_name = "Bad", "lamp", ("text",), "title"
    shorten, system, max_new_tokens = "text", "", 5
    template, example = "{text}", "{text} {target}"

    def prompt(self, fields, *, template=None):
        return fields["absent"]
"""


def test_a_fault_in_a_task_is_told_with_its_line_and_exit_code_2(
    tmp_path, capsys, monkeypatch, on_fake_engine
):
    import json

    monkeypatch.chdir(tmp_path)
    plugin, data = tmp_path / "bad.py", tmp_path / "data"
    plugin.write_text(TASK)
    data.mkdir()
    about = dict.fromkeys(("source", "licence", "attribution", "description"), "a test")
    (data / "dataset.json").write_text(json.dumps({"task": "bad", "synthetic": True, **about}))
    item = {"id": "a", "date": None, "fields": {"text": "t"}, "target": "x"}
    user = {"id": "ann", "history": [item], "queries": [{**item, "id": "b"}]}
    (data / "test.jsonl").write_text(json.dumps(user) + "\n")
    (data / "train.jsonl").write_text("")
    words = ["run", "--method", "base", "--task", "bad", "--data", f"lampbench:{data}"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--plugins", str(plugin)])
    assert left.value.code == 2
    where = f"{plugin}:{line_of(TASK, 'absent')}"
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"failed in Bad.prompt() at {where}: KeyError: 'absent'" in said


def test_an_exception_inside_the_engine_is_not_the_plugins(planner, engine, monkeypatch, tmp_path):
    """A plugin's predict is on the stack, but the engine failed."""
    plugin = tmp_path / "bad.py"
    plugin.write_text(
        HEAD + "@register_method('bad')\nclass Bad(Method):\n"
        "    def predict(self, context, users):\n"
        "        yield from super().predict(context, users)\n"
    )

    def fails(requests):
        exec(compile("1 / 0", "engine.py", "exec"), {"__name__": "lampbench.engine.batched.made"})
        yield

    monkeypatch.setattr(engine, "generate", fails)
    with pytest.raises(ZeroDivisionError):
        execute(planner("bad", plugins=[plugin]), "lampbench run", tmp_path / "results")


def test_an_exception_outside_any_plugin_is_nobodys():
    with pytest.raises(ValueError), told_as_the_plugins("this"):
        raise ValueError
    try:
        Answer()  # type: ignore[call-arg]
    except TypeError as error:
        assert fault_of_plugin(error) is None
