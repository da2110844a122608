"""The pytest plugin, as a package with plugins uses it."""

import json

import pytest

from lampbench.scaffold.write import write_plugin
from tests.contract import bad_plugins as bad
from tests.shared.pages import blocks

ONE_LINE = """
from lampbench.testing import contract_test
test_mine = contract_test("method", "mine", plugins=["mine.py"])
"""
FIXTURE = """
from lampbench.plugin import Metric

class Letters(Metric):
    '''Length of the answer in characters. Source: defined here.'''
    title = "Letters"
    high = None
    def score(self, answer):
        return {value}

def test_letters(check_contract):
    assert len(check_contract("metric", Letters)) == 6
"""


@pytest.fixture
def tests_of(tmp_path, python):
    def run(source, *options):
        (tmp_path / "test_it.py").write_text(source)
        words = ["-m", "pytest", "-p", "lampbench.testing", "-p", "no:cacheprovider", *options]
        return python(*words, "test_it.py", cwd=tmp_path)

    return run


def test_one_line_makes_a_test_of_each_check(tests_of, tmp_path):
    (tmp_path / "mine.py").write_text(bad.IGNORES_A_HYPERPARAMETER)
    done = tests_of(ONE_LINE, "-v")
    assert done.returncode == 1
    assert "10 passed" in done.stdout and "1 failed" in done.stdout
    assert "test_mine[hyper-parameters] FAILED" in done.stdout
    assert "prompting.unused changes nothing in a run: use self.unused in Mine" in done.stdout


@pytest.mark.parametrize(("value", "code"), [("len(answer.text)", 0), ("-1", 1)])
def test_a_class_is_checked_with_the_fixture(tests_of, value, code):
    done = tests_of(FIXTURE.format(value=value))
    assert done.returncode == code, done.stdout
    assert ("runs: metric letters gave -1" in done.stdout) is bool(code)


def test_the_examples_of_the_documentation_run(python, tmp_path):
    examples = [block for block in blocks("docs/contract.md") if block.language == "python"]
    for block in examples:
        (tmp_path / f"{block.file}.py").write_text(block.body)
    write_plugin("method", "my_method", tmp_path / "written")
    (tmp_path / "written" / "my_method.py").rename(tmp_path / "my_method.py")
    names = [f"{block.file}.py" for block in examples]
    done = python("-m", "pytest", "-p", "lampbench.testing", *names, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout


def test_the_plugin_loads_nothing_heavy(python):
    names = "'torch', 'transformers', 'numpy', 'lampbench.registry'"
    code = f"import sys, json, lampbench.testing; print(json.dumps([n for n in ({names},) if n in sys.modules]))"  # noqa: E501
    done = python("-c", code)
    assert json.loads(done.stdout) == []


def test_installations_offer_it_to_pytest(root):
    import tomllib

    about = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert about["project"]["entry-points"]["pytest11"] == {
        "lampbench.testing": "lampbench.testing"
    }
