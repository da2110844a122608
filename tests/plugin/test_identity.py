"""What renames a run, and what must not."""

import dataclasses
import importlib
import pkgutil
import sys

import pytest

import lampbench.plugin
from lampbench.plugin.hyperparameter import Part
from lampbench.plugin.identity import code_identity, instance_state, label, other_fields
from lampbench.plugin.negatives import LowestReward, Samples
from lampbench.plugin.prompting import Plain
from lampbench.plugin.source_files import source_digest
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError

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
    assert code_identity(Samples) == before == ["built-in", "samples", 3]


def test_a_builtin_without_a_name_of_its_own_is_refused():
    kind = type("Nameless", (Plain,), {"__module__": "lampbench.plugin.prompting"})
    with pytest.raises(TypeError, match="must declare its name"):
        code_identity(kind)


FACTORY = """
from lampbench.plugin import Method, Prediction

def make(k):
    class Const(Method):
        name = "const"
        def predict(self, context, users):
            yield Prediction("u", "q", str(k))
    return Const

class Held(Method):
    name = "held"
    k = 1
    def __init__(self, k):
        self.k = k
"""


@pytest.fixture
def factory(tmp_path, monkeypatch):
    (tmp_path / "made_by_factory.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("made_by_factory"), tmp_path / "made_by_factory.py"
    del sys.modules["made_by_factory"]


def test_what_a_class_or_an_instance_holds_counts(factory):
    module, _ = factory
    assert code_identity(module.make(1)) == code_identity(module.make(1))
    assert code_identity(module.make(1)) != code_identity(module.make(2))
    assert instance_state(module.Held(1)) != instance_state(module.Held(2))
    before = code_identity(module.Held)
    module.Held.k = 2
    assert code_identity(module.Held) != before


def test_a_file_that_was_edited_after_its_import_is_refused(factory):
    module, file = factory
    file.write_text(FACTORY.replace("str(k)", "str(k) + '!'"))
    with pytest.raises(LampbenchError, match=r"made_by_factory\.py was edited after it was imp"):
        code_identity(module.make(1))


def test_a_module_of_a_folder_without_init_counts(tmp_path, monkeypatch):
    folder = tmp_path / "ns_of_test"
    folder.mkdir()
    (folder / "b.py").write_text("x = 1")
    (folder / "a.py").write_text("from ns_of_test.b import x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("ns_of_test.a")
    before = source_digest(folder / "a.py")
    (folder / "b.py").write_text("x = 2")
    assert source_digest(folder / "a.py") != before
    del sys.modules["ns_of_test.a"], sys.modules["ns_of_test.b"], sys.modules["ns_of_test"]


def test_a_file_beside_the_built_in_methods_is_a_plugin(monkeypatch):
    methods = importlib.import_module("lampbench.methods")
    kind = type("Mine", (Plain,), {"__module__": "lampbench.methods.mine", "name": "mine"})
    assert code_identity(kind)[0] == "plugin"
    monkeypatch.setitem(methods.VERSIONS, "mine", 3)
    assert code_identity(kind) == ["built-in", "mine", 3]


def test_a_plugin_that_extends_a_built_in_method_has_its_version_in_the_key(monkeypatch, written):
    methods = importlib.import_module("lampbench.methods")
    imports = "from lampbench.methods.copy_recent import CopyRecent as Method"
    before = written(imports)
    assert before[-1] == ["built-in", "copy_recent", methods.VERSIONS["copy_recent"]]
    monkeypatch.setitem(methods.VERSIONS, "copy_recent", 7)
    assert written(imports) != before


def test_every_built_in_method_and_task_is_listed_with_its_version():
    registry = Registry()
    rows = {"lampbench.methods": registry.rows("method"), "lampbench.tasks": registry.rows("task")}
    for package, found in rows.items():
        listed = importlib.import_module(package).VERSIONS
        own = {row.name for row in found if row.plugin is not None
               and type(row.plugin).__module__.startswith(package)}  # fmt: skip
        assert own == set(listed)


def test_a_field_that_is_no_hyper_parameter_counts():
    @dataclasses.dataclass(frozen=True)
    class Mine(Plain):
        name = "mine"
        words: tuple[str, ...] = ()

    assert other_fields(Mine(("a",))) != other_fields(Mine(("b",)))
    assert other_fields(Plain()) == other_fields(LowestReward()) == {}
