"""A plugin has one identity: as a file, installed for editing and installed from a wheel."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

PLUGIN = '''
from dataclasses import dataclass

import other_things
from lampbench.plugin import Method, Plain, register_method
from mine_more.far import word

from .helper import one


@dataclass(frozen=True)
class MinePrompting(Plain):
    """A part of its own, in the same file."""


@register_method("mine")
class Mine(Method):
    """A method of the tests. Source: defined here."""

    title = "Mine"
    prompting = MinePrompting()

    def predict(self, context, users):
        yield from ()
'''
SOURCE = {
    "mine_pack/__init__.py": "",
    "mine_pack/mine.py": PLUGIN,
    "mine_pack/helper.py": "import torch\none = 1\n",
    "mine_more/__init__.py": "",
    "mine_more/far.py": "from . import farther\nword = 'far'\n",
    "mine_more/farther.py": "",
}
ENTRY_POINTS = "[lampbench.methods]\nmine = mine_pack.mine\n"
COUNTED = ["mine_more/__init__.py", "mine_more/far.py", "mine_more/farther.py",
           "mine_pack/__init__.py", "mine_pack/helper.py", "mine_pack/mine.py"]  # fmt: skip

ASK = """
import json, sys
from pathlib import Path
from lampbench.registry import Registry
method = Registry([Path(file) for file in {files}]).method("mine")
from lampbench.plugin.identity import code_identity, identity
opened = []
sys.addaudithook(lambda event, found: opened.append(found[0]) if event == "open" else None)
key = [code_identity(type(method)), identity(method.prompting)]
read = sorted({{str(one) for one in opened if str(one).endswith(".py")}})
json.dump([key, read, sys.modules["lampbench"].__file__], sys.stdout)
"""


def write(folder, files):
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def wheel_of(folder, name, files, entry_points=""):
    """A wheel, as any build tool makes one; pip completes RECORD."""
    info = f"{name}-1.0.dist-info"
    metadata = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": entry_points,
        "RECORD": "",
    }
    made = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for file, text in {**files, **{f"{info}/{k}": v for k, v in metadata.items()}}.items():
            archive.writestr(file, text)
    return made


@pytest.fixture
def source(tmp_path_factory):
    """The plugin as its author has it, beside what pip writes there for an editable install."""
    folder = tmp_path_factory.mktemp("project") / "src"
    return write(folder, {**SOURCE, "mine.egg-info/entry_points.txt": ENTRY_POINTS,
                          "mine.egg-info/PKG-INFO": "Name: mine\nVersion: 1.0\n"})  # fmt: skip


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Another distribution, for where the plugin is not installed beside it."""
    return write(tmp_path_factory.mktemp("elsewhere"), {"other_things/__init__.py": "",
                 "other_things-1.0.dist-info/RECORD": "other_things/__init__.py,,\n"})  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory, root, python):
    """One folder that holds lampbench, the plugin and another distribution, all installed."""
    folder = tmp_path_factory.mktemp("site")
    unused = shutil.ignore_patterns("__pycache__", "bundled")
    shutil.copytree(root / "lampbench", folder / "lampbench", ignore=unused)
    for name in ("methods", "tasks"):
        shutil.copytree(root / name, folder / "lampbench" / name, ignore=unused)
    wheels = tmp_path_factory.mktemp("wheels")
    made = [
        wheel_of(wheels, "mine", SOURCE, ENTRY_POINTS),
        wheel_of(wheels, "other_things", {"other_things/__init__.py": "import other_things.deep\n",
                                          "other_things/deep.py": ""}),
    ]  # fmt: skip
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    done = python(*pip, "--disable-pip-version-check", *map(str, made))
    assert done.returncode == 0, done.stderr
    return folder


def asked(python, path, files=()):
    done = python("-c", ASK.format(files=list(map(str, files))), path=path, cwd=path[0])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def installed(python, site):
    return asked(python, [site])


def test_a_plugin_in_one_folder_with_lampbench_is_read_and_nothing_else(site, installed):
    _, read, harness = installed
    assert Path(harness).is_relative_to(site)
    assert read == [str(site / file) for file in COUNTED]


def test_a_file_an_editable_install_and_a_wheel_have_one_key(python, source, elsewhere, installed):
    editable, read, _ = asked(python, [source, elsewhere])
    assert read == [str(source / file) for file in COUNTED]
    assert installed[0] == editable
    (source / "mine.egg-info/entry_points.txt").write_text("")
    as_file, *_ = asked(python, [source, elsewhere], [source / "mine_pack/mine.py"])
    assert as_file == editable


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("lampbench/report/__init__.py", False),
        ("lampbench/plugin/__init__.py", False),
        ("other_things/__init__.py", False),
        ("mine_pack/__init__.py", True),
        ("mine_pack/helper.py", True),
        ("mine_more/farther.py", True),
    ],
)
def test_only_an_edit_to_the_plugins_own_files_counts(python, site, installed, file, counts):
    text = (site / file).read_text()
    (site / file).write_text(f"{text}\n# edited\n")
    after, *_ = asked(python, [site])
    (site / file).write_text(text)
    assert (after != installed[0]) == counts


def test_what_an_upgrade_leaves_of_the_version_before_hides_no_file(python, site, installed):
    left = {"RECORD": "mine_pack/mine.py,,\n", "entry_points.txt": ENTRY_POINTS}
    stale = write(site, {f"mine-0.9.dist-info/{name}": text for name, text in left.items()})
    file = site / "mine_pack/helper.py"
    text = file.read_text()
    file.write_text(f"{text}\n# edited\n")
    after, read, _ = asked(python, [site])
    file.write_text(text)
    shutil.rmtree(stale / "mine-0.9.dist-info")
    assert read == [str(site / name) for name in COUNTED]
    assert after != installed[0]
