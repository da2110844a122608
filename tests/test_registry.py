import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lampbench import methods, tasks
from lampbench.core.task import Task
from lampbench.plugin.method import Method
from lampbench.registry import Kind, Registry, plugin_paths
from lampbench.util.errors import LampbenchError

Python = Callable[..., subprocess.CompletedProcess[str]]

METHODS, TASKS = sorted(methods.VERSIONS), sorted(tasks.VERSIONS)

SOUND = """
from lampbench.plugin import Method, register_method

@register_method("{name}")
class Mine(Method):
    title = "{title}"
"""


def write(path: Path, name: str = "mine", title: str = "Mine") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SOUND.format(name=name, title=title), encoding="utf-8")
    return path


def error_of(plugin: Path, name: str, kind: Kind = "method") -> str:
    """What asking for a plugin says, after checking that `list` says the same in its row."""
    registry = Registry([plugin])
    ask = registry.method if kind == "method" else registry.task
    with pytest.raises(LampbenchError) as told:
        ask(name)
    rows = [row for row in registry.rows(kind) if row.name == name]
    assert [row.plugin for row in rows] == [None]
    assert rows[0].error == str(told.value)
    assert registry.method("cope").name == "cope", "a broken plugin must not stop the others"
    return str(told.value)


def test_built_ins_are_all_there() -> None:
    registry = Registry()
    assert registry.names("method") == METHODS
    assert registry.names("task") == TASKS
    bases: dict[Kind, type[Method | Task]] = {"method": Method, "task": Task}
    for kind, base in bases.items():
        for row in registry.rows(kind):
            assert row.error is None
            assert isinstance(row.plugin, base)
            assert row.plugin.name == row.name
            assert row.plugin.title


def test_each_question_gets_an_instance_of_its_own() -> None:
    registry = Registry()
    assert registry.method("cope") is not registry.method("cope")


def test_every_built_in_stands_in_a_file_of_its_name() -> None:
    for kind in ("method", "task"):
        for row in Registry().rows(kind):
            file, _, line = row.origin.rpartition(":")
            assert Path(file).stem == row.name
            assert Path(file).read_text().splitlines()[int(line) - 1].startswith("@register_")


def test_a_file_given_by_path(tmp_path: Path) -> None:
    registry = Registry([write(tmp_path / "some-file.py")])
    assert registry.names("method") == sorted([*METHODS, "mine"])
    assert registry.method("mine").title == "Mine"


def test_a_folder_whose_files_import_each_other(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("TITLE = 'From a sibling'\n")
    text = SOUND.format(name="mine", title="").replace('title = ""', "title = TITLE")
    (tmp_path / "mine.py").write_text("from .words import TITLE\n" + text)
    registry = Registry([tmp_path])
    assert registry.method("mine").title == "From a sibling"
    assert "words" not in [row.name for row in registry.rows("method")], "helpers are no plugins"


def test_two_folders_may_hold_files_of_the_same_name(tmp_path: Path) -> None:
    folders = [write(tmp_path / name / "plugin.py", name).parent for name in ("one", "two")]
    registry = Registry(folders)
    assert [registry.method(name).name for name in ("one", "two")] == ["one", "two"]


def test_the_same_file_given_twice_is_one_plugin(tmp_path: Path, root: Path) -> None:
    file = write(tmp_path / "mine.py")
    registry = Registry([file, tmp_path, root / "methods"])
    assert registry.method("mine").name == "mine"
    assert type(registry.method("cope")).__module__ == "lampbench.methods.cope"


def test_plugin_paths_come_from_options_then_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAMPBENCH_PLUGINS", "b:c")
    assert plugin_paths(["a"]) == [Path("a"), Path("b"), Path("c")]
    monkeypatch.delenv("LAMPBENCH_PLUGINS")
    assert plugin_paths([]) == []


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(LampbenchError, match=r"nothing\.py: no such plugin file or folder"):
        Registry([tmp_path / "nothing.py"])


def test_only_the_plugin_that_is_asked_for_is_imported(tmp_path: Path, python: Python) -> None:
    for name in ("wanted", "unwanted"):
        file = write(tmp_path / f"{name}.py", name)
        file.write_text(f"print('{name} was imported')\n" + file.read_text())
    code = f"""
from pathlib import Path
from lampbench.registry import Registry
registry = Registry([Path({str(tmp_path)!r})])
print("names:", *registry.names("method"))
print("got", registry.method("wanted").name)
"""
    done = python("-c", code)
    names = " ".join(sorted([*METHODS, "unwanted", "wanted"]))
    assert done.stdout.splitlines() == [f"names: {names}", "wanted was imported", "got wanted"]


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("x = 1\ndef broken(:\n")
    assert error_of(file, "bad") == (
        f"method 'bad' is broken: {file}:2: SyntaxError: invalid syntax"
    )
    assert "is broken" in error_of(file, "bad", "task"), "it may have been meant as a task"


def test_an_unreadable_plugin_is_named_when_its_method_is_missed(tmp_path: Path) -> None:
    file = write(tmp_path / "file_of_another_name.py")
    file.write_text(file.read_text() + "(")
    with pytest.raises(LampbenchError, match=r"no method is called 'mine'.*another_name\.py:\d"):
        Registry([file]).method("mine")


def test_binary_rubbish_is_a_row(tmp_path: Path) -> None:
    file = tmp_path / "rubbish.py"
    file.write_bytes(b"\x00\xff\xfe")
    assert f"{file}:1" in error_of(file, "rubbish")


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("import a_package_that_nobody_has", "ModuleNotFoundError: No module named"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('usage: mine.py')", "SystemExit: usage: mine.py"),
        ("raise ValueError('one\\ntwo')", "ValueError: one"),
    ],
)
def test_a_failing_import_names_file_line_and_cause(tmp_path: Path, line: str, cause: str) -> None:
    file = write(tmp_path / "mine.py")
    file.write_text(f"'''doc'''\n{line}\n" + file.read_text())
    told = error_of(file, "mine")
    assert told.startswith(f"method 'mine' is broken: {file}:2: {cause}")
    assert "\n" not in told


def test_an_error_inside_a_helper_names_the_plugins_own_line(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("\n\n\nraise RuntimeError('deep down')\n")
    file = write(tmp_path / "mine.py")
    file.write_text("from . import helper\n" + file.read_text())
    assert f"{file}:1: RuntimeError: deep down" in error_of(tmp_path, "mine")


def test_a_file_that_registers_nothing(tmp_path: Path) -> None:
    file = tmp_path / "forgot.py"
    file.write_text("class Forgot: pass\n")
    told = error_of(file, "forgot")
    assert f'{file}:1: no class is decorated with @register_method("forgot")' in told


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("class Mine:\n    pass", "Mine must be a subclass of Method"),
        ("class Mine(Method):\n    decoding = 'greedy'", "decoding must be an instance of a Decod"),
        ("class Mine(Method):\n    adaptation = TaskSFT", "adaptation must be an instance of a We"),
        ("class Mine(Method):\n    prompting = None", "prompting must be an instance of a Prompt"),
        ("class Mine(Method):\n    def __init__(self, x): pass", "TypeError: .*__init__"),
    ],
)
def test_a_class_that_is_no_method(tmp_path: Path, body: str, cause: str) -> None:
    file = tmp_path / "mine.py"
    imports = "from lampbench.plugin import Method, TaskSFT, register_method\n"
    file.write_text(f"{imports}@register_method('mine')\n{body}\n")
    told = error_of(file, "mine")
    assert f"{file}:2: " in told
    with pytest.raises(LampbenchError, match=cause):
        Registry([file]).method("mine")


def test_a_task_says_which_attributes_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from lampbench.plugin import Task, register_task\n\n"
        "@register_task('mine')\n"
        "class Mine(Task):\n"
        "    title = 'Mine'\n    family = 'lamp'\n    fields = ('text',)\n"
        "    system = ''\n    template = '{text}'\n    shorten = 'text'\n"
    )
    told = error_of(file, "mine", "task")
    assert told.endswith(f"{file}:3: set target_name, example, max_new_tokens")
    other = tmp_path / "silent.py"
    other.write_text(file.read_text().replace("    system = ''\n", ""))
    told = error_of(other, "mine", "task")
    assert 'set target_name, system (system = "" for none), example, max_new_tokens' in told


def test_a_task_says_which_attribute_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from lampbench.plugin import Task, register_task\n\n"
        "@register_task('mine')\n"
        "class Mine(Task):\n"
        "    title = 'Mine'\n    family = 'lamp'\n    fields = ('text',)\n"
        "    system = None\n    template = '{text}'\n    shorten = 'text'\n"
        "    target_name = 'title'\n    example = '{target}'\n    max_new_tokens = 9\n"
    )
    told = error_of(file, "mine", "task")
    assert told.endswith('system must be a text ("" for none), not None')


def test_a_duplicate_names_both_files(tmp_path: Path, root: Path) -> None:
    registry = Registry([write(tmp_path / "mine.py", "cope")])
    with pytest.raises(LampbenchError) as told:
        registry.method("cope")
    assert str(root / "methods" / "cope.py") in str(told.value)
    assert str(tmp_path / "mine.py") in str(told.value)
    assert "registered twice" in str(told.value)
    rows = [row for row in registry.rows("method") if row.name == "cope"]
    assert len(rows) == 2
    assert all("registered twice" in str(row.error) for row in rows)
    assert registry.method("oppu").name == "oppu"


def test_the_same_name_twice_in_one_file_names_both_lines(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py")
    file.write_text(file.read_text() * 2)
    with pytest.raises(LampbenchError, match=r"mine\.py:4 and in .*mine\.py:10"):
        Registry([file]).method("mine")


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("coep", "cope"),
        ("opu", "oppu"),
        ("tamm", "tam"),
        ("CoPe", "cope"),
        ("OPPU", "oppu"),
    ],
)
def test_an_unknown_method_gets_the_nearest_match(asked: str, near: str) -> None:
    with pytest.raises(LampbenchError, match=f"no method is called '{asked}': did you mean {near}"):
        Registry().method(asked)


def test_the_name_of_a_class_gets_the_name_of_its_plugin(tmp_path: Path) -> None:
    with pytest.raises(LampbenchError, match=r"'Mine': did you mean other\?$"):
        Registry([write(tmp_path / "mine.py", "other")]).method("Mine")


@pytest.mark.parametrize(
    "decorator", ["register_method(NAME)", "register_method", "register_method()"]
)
def test_a_decorator_without_a_literal_name_is_told_with_its_line(
    tmp_path: Path, decorator: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from lampbench.plugin import Method, register_method\n"
        f"NAME = 'other'\n\n@{decorator}\nclass Mine(Method):\n    title = 'Mine'\n"
    )
    for asked in ("mine", "other"):
        with pytest.raises(LampbenchError) as told:
            Registry([file]).method(asked)
        assert f"{file}:4: @{decorator} must have the name itself" in str(told.value)
        assert '@register_method("mine")' in str(told.value)


def test_a_class_registered_inside_a_function_is_no_fault_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py")
    inner = "\ndef make(name):\n    @register_method(name)\n    class Made(Method):\n        pass\n"
    file.write_text(file.read_text() + inner)
    assert Registry([file]).method("mine").name == "mine"
    assert [row.name for row in Registry([file]).rows("method") if row.error] == []


def test_an_unknown_name_far_from_all_gets_the_list() -> None:
    with pytest.raises(LampbenchError, match=f"there are {', '.join(TASKS)}"):
        Registry().task("xyzzy")


def test_methods_and_tasks_are_apart() -> None:
    with pytest.raises(LampbenchError, match=r"is called 'news_headline'.* --plugins FILE"):
        Registry().method("news_headline")


class TestInstalledPackage:
    """Entry points, through a package that is really installed."""

    @pytest.fixture(scope="class")
    def site(self, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("installed")
        source = shutil.copytree(root / "tests/fixtures/lampbench-extra", folder / "source")
        site = folder / "site"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        command += ["--no-build-isolation", "--disable-pip-version-check"]
        subprocess.run([*command, "--target", str(site), str(source)], check=True, timeout=120)
        return site

    def ask(self, python: Python, site: Path, code: str) -> list[str]:
        start = "from lampbench.registry import Registry\nregistry = Registry()\n"
        done = python("-c", start + code, path=[site])
        assert done.stderr == ""
        return done.stdout.splitlines()

    def test_its_plugins_are_found(self, python: Python, site: Path) -> None:
        code = "print(*registry.names('method'))\nprint(*registry.names('task'))"
        extra = ["gone", "last_title", "loud", "misnamed", "needs_missing"]
        assert self.ask(python, site, code) == [
            " ".join(sorted([*METHODS, *extra])),
            " ".join(sorted([*TASKS, "haiku"])),
        ]

    def test_its_engine_is_found_without_loading_torch(self, python: Python, site: Path) -> None:
        code = (
            "import sys\nprint(*registry.names('engine'))\n"
            "print(registry.engine('silent').summary)\n"
            "[registry.engine(name) for name in registry.names('engine')]\n"
            "print('torch' in sys.modules)"
        )
        assert self.ask(python, site, code) == [
            "batched openai reference silent vllm", "answers nothing", "False",
        ]  # fmt: skip

    def test_they_work(self, python: Python, site: Path) -> None:
        code = (
            "from types import SimpleNamespace as N\n"
            "user = N(id='u', queries=[N(id='q')], history=[N(target='old'), N(target='new')])\n"
            "print(*[p.text for p in registry.method('last_title').predict(None, [user])])\n"
            "print(registry.task('haiku').prompt({'season': 'spring'}).text)"
        )
        assert self.ask(python, site, code) == ["new", "Write a haiku about spring.", "haiku:"]

    def test_asking_for_one_imports_no_other(self, python: Python, site: Path) -> None:
        assert self.ask(python, site, "registry.method('last_title')") == []
        assert self.ask(python, site, "registry.method('loud')") == ["loud was imported"]

    def test_broken_ones_are_rows_with_their_cause(self, python: Python, site: Path) -> None:
        code = "for r in registry.rows('method'):\n    if r.error: print(r.name, '|', r.error)"
        lines = self.ask(python, site, code)
        told = dict(line.split(" | ") for line in lines if " | " in line)
        assert sorted(told) == ["gone", "misnamed", "needs_missing"]
        folder = site / "lampbench_extra"
        assert f"{folder / 'needs_missing.py'}:3: ModuleNotFoundError" in told["needs_missing"]
        assert "lampbench_extra.gone (lampbench-extra): ModuleNotFoundError" in told["gone"]
        assert "the entry point gone = lampbench_extra.gone" in told["gone"]
        assert "the entry point 'misnamed' of lampbench.methods: importing" in told["misnamed"]
        assert "registers no method of that name" in told["misnamed"]
        assert "or name the entry point properly_named" in told["misnamed"]
        assert '@register_method("misnamed")' in told["misnamed"]
