"""What renames a run whose classes are in no file, as in a notebook."""

import os
import subprocess
import sys

import pytest

from lampbench.plugin.identity import code_identity

CELL = """
from lampbench.plugin import Method, Prediction
def answer(query):
    return {word}
class Mine(Method):
    name = "mine"
    def predict(self, context, users):
        yield from (Prediction(u.id, q.id, answer(q)) for u in users for q in u.queries)
"""


@pytest.fixture(autouse=True)
def _as_in_a_notebook(monkeypatch):
    """Where tests run, `__main__` has a file; in a notebook it has none."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)


def cell(text):
    """What a notebook has: names of a module that has no file."""
    held = {"__name__": "__main__"}
    exec(compile(text, "<cell>", "exec"), held)
    return held["Mine"]


def test_a_class_without_a_file_is_its_code_and_what_it_calls():
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


NB = """
import functools, re
from lampbench.plugin import Method, Prediction
{before}
class Mine(Method):
    name = "mine"
    {attributes}
    def predict(self, context, users):
        yield from (Prediction(u.id, q.id, str({value})) for u in users for q in u.queries)
"""


def noted(before="", value="1", attributes="x = 1"):
    return code_identity(cell(NB.format(before=before, value=value, attributes=attributes)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"before": "C = {'a': 1, 'b': 2, 'use': 1}", "value": "C['use']"},
         {"before": "C = {'a': 1, 'b': 2, 'use': 2}", "value": "C['use']"}),
        ({"before": "C = ['a', 'b', 'a']", "value": "C"},
         {"before": "C = ['a', 'b', 'b']", "value": "C"}),
        ({"before": "C = [[5, 6], 7]", "value": "C"}, {"before": "C = [5, [6, 7]]", "value": "C"}),
        ({"before": "C = {'a': 'b', 'c': 'd'}", "value": "C"},
         {"before": "C = ['a', 'b', 'c', 'd']", "value": "C"}),
        ({"before": "C = {1: 5}", "value": "C"}, {"before": "C = {'1': 5}", "value": "C"}),
        ({"before": "C = {7}", "value": "C"}, {"before": "C = [7]", "value": "C"}),
        ({"before": "def f(*, k=3): return k", "value": "f()"},
         {"before": "def f(*, k=4): return k", "value": "f()"}),
        ({"before": "@functools.cache\ndef f(): return 1", "value": "f()"},
         {"before": "@functools.cache\ndef f(): return 2", "value": "f()"}),
        ({"before": "f = functools.partial(int, '1')", "value": "f()"},
         {"before": "f = functools.partial(int, '2')", "value": "f()"}),
        ({"before": "C = re.compile('a')", "value": "C.pattern"},
         {"before": "C = re.compile('b')", "value": "C.pattern"}),
        ({"before": "def g(a, b): return a - b", "value": "g(a=2, b=1)"},
         {"before": "def g(b, a): return a - b", "value": "g(a=2, b=1)"}),
        ({"attributes": "x = 1; y = 2; z = 1"}, {"attributes": "x = 1; y = 2; z = 2"}),
        ({"attributes": "x = True; y = False; z = True"},
         {"attributes": "x = True; y = False; z = False"}),
        ({"attributes": "x = b'1'"}, {"attributes": "x = b'2'"}),
        ({"attributes": "x = 1"}, {"attributes": "x = 1.0"}),
    ],
)  # fmt: skip
def test_whatever_a_notebook_class_refers_to_counts(one, other):
    assert noted(**one) == noted(**one)
    assert noted(**one) != noted(**other)


def test_a_notebook_class_is_the_same_in_every_process(root):
    text = (
        "from lampbench.plugin.identity import code_identity\n"
        "class A:\n"
        "    def f(self, x):\n        return x in {'aa', 'bb', 'cc', 'dd'}\n"
        "print(code_identity(A))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", text], cwd=root, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(outputs) == 1


def test_a_name_that_is_not_bound_yet_is_no_fault():
    text = (
        "from lampbench.plugin import Method\n"
        "def make():\n"
        "    class A(Method):\n        name = 'a'\n        def f(self):\n            return later\n"
        "    found = A\n"
        "    import lampbench.plugin.identity as i\n"
        "    i.code_identity(A)\n"
        "    later = 1\n"
        "    return found\n"
        "Mine = make()\n"
    )
    assert cell(text)
