"""What renames a run, and what must not."""

import importlib
import pkgutil
import sys

import pytest

import lampbench.plugin
from lampbench.plugin.hyperparameter import Part
from lampbench.plugin.identity import code_identity, label
from lampbench.plugin.negatives import LowestReward, Samples
from lampbench.plugin.prompting import Plain
from lampbench.registry import Registry

MINE = """
from lampbench.plugin import Method, Prediction, register_method
{imports}

def answer(query):
    return "{word}"

@register_method("mine")
class Mine(Method):
    title = "Mine"
    def predict(self, context, users):
        for user in users:
            for query in user.queries:
                yield Prediction(user.id, query.id, answer(query))
"""


@pytest.fixture
def written(tmp_path):
    """The identity of a plugin whose files are given, each set in a folder of its own."""
    count = iter(range(9))

    def write(imports="", word="one", **others):
        folder = tmp_path / str(next(count))
        for name, text in {"mine": MINE.format(imports=imports, word=word), **others}.items():
            file = folder / f"{name.replace('__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return code_identity(type(Registry([folder]).method("mine")))

    return write


def test_a_plugin_is_its_file_wherever_that_is(written):
    assert written() == written()


def test_an_edit_outside_the_class_counts(written):
    assert written(word="one") != written(word="two")


@pytest.mark.parametrize("imports", ["from .helper import x", "from . import helper"])
def test_an_edit_to_an_imported_local_file_counts(written, imports):
    assert written(imports, helper="x = 1") != written(imports, helper="x = 2")
    assert written(imports, helper="x = 1", other="y = 1") == written(
        imports, helper="x = 1", other="y = 2"
    ), "what is not imported does not count"


def test_imports_of_imports_count(written):
    imports = "from .deep.helper import x"
    deep = {"deep/__init__": "", "deep/helper": "from ..far import x"}
    assert written(imports, **deep, far="x = 1") != written(imports, **deep, far="x = 2")


def builtin_parts():
    for module in pkgutil.iter_modules(lampbench.plugin.__path__, "lampbench.plugin."):
        importlib.import_module(module.name)
    waiting = [Part]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        concrete = not getattr(kind, "__abstractmethods__", None) and hasattr(kind, "section")
        if concrete and kind.__module__.startswith("lampbench."):
            yield kind


def test_every_builtin_part_has_a_name_of_its_own():
    kinds = {kind for kind in builtin_parts() if "name" in vars(kind)}
    names = [vars(kind)["name"] for kind in kinds]
    assert len(names) == len(set(names)) >= 11
    assert label(LowestReward()) == "lowest_reward"


def test_a_builtin_is_never_where_it_stands(monkeypatch):
    before = code_identity(Samples)
    monkeypatch.setattr(Samples, "__module__", "lampbench.elsewhere")
    assert code_identity(Samples) == before == ["built-in", "samples", 2]


def test_a_builtin_without_a_name_of_its_own_is_refused():
    kind = type("Nameless", (Plain,), {"__module__": "lampbench.plugin.prompting"})
    with pytest.raises(TypeError, match="must declare its name"):
        code_identity(kind)


CELL = """
from lampbench.plugin import Method, Prediction
def answer(query):
    return {word}
class Mine(Method):
    name = "mine"
    def predict(self, context, users):
        yield from (Prediction(u.id, q.id, answer(q)) for u in users for q in u.queries)
"""


def cell(text):
    """What a notebook has: names of a module that has no file."""
    held = {"__name__": "__main__"}
    exec(compile(text, "<cell>", "exec"), held)
    return held["Mine"]


def test_a_class_without_a_file_is_its_code_and_what_it_calls(monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    one, again, two = (cell(CELL.format(word=word)) for word in ("'1'", "'1'", "'2'"))
    assert code_identity(one) == code_identity(again)
    assert code_identity(one) != code_identity(two)


DECLARED = """
from lampbench.plugin import Greedy, Method, RetrievalAugmented, TaskSFT, UserSFT
class Mine(Method):
    name = "mine"
    prompting = RetrievalAugmented({k})
    adaptation = UserSFT(start={start})
    decoding = Greedy()
"""


def test_a_class_without_a_file_may_leave_settings_to_presets(monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    unset = code_identity(cell(DECLARED.format(k="", start="TaskSFT()")))
    assert unset == code_identity(cell(DECLARED.format(k="", start="TaskSFT()")))
    others = [("k=2", "TaskSFT()"), ("k=3", "TaskSFT()"), ("", "None"), ("", "TaskSFT(rank=4)")]
    changed = [code_identity(cell(DECLARED.format(k=k, start=start))) for k, start in others]
    assert len({str(one) for one in [unset, *changed]}) == 5
