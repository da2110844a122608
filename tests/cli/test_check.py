"""`lampbench check`: verdicts, exit codes, and documents for programs."""

import json

import pytest

BAD = """
from lampbench.plugin import Metric, register_metric

@register_metric("bad")
class Bad(Metric):
    title = "Bad"
    def score(self, answer):
        return "much"
"""


@pytest.fixture
def bad(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text(BAD)
    return str(file)


def test_a_sound_plugin_leaves_with_0(call):
    code, out, err = call("check", "metric", "words")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "metric words: keeps the contract"
    assert all(line.startswith("passed") for line in out.splitlines()[:-2])


def test_a_broken_contract_leaves_with_2(call, bad):
    code, out, err = call("check", "metric", "bad", "--plugins", bad)
    assert (code, err) == (2, "")
    failed = [line for line in out.splitlines() if line.startswith("failed")]
    assert len(failed) == 2
    assert "bad.py:5: give the class a docstring" in failed[0]
    assert "metric bad gave 'much'" in failed[1]
    assert out.splitlines()[-1] == "metric bad: 2 failed"


def test_programs_read_one_document(call, bad):
    code, out, err = call("check", "metric", "bad", "--plugins", bad, "--format", "json")
    found = json.loads(out)
    assert (code, err, found["kind"], found["name"], found["kept"]) == (
        2,
        "",
        "metric",
        "bad",
        False,
    )
    verdicts = {one["check"]: one["verdict"] for one in found["checks"]}
    assert verdicts["card"] == verdicts["runs"] == "failed"
    assert verdicts["state"] == "skipped"
    assert all(one["message"] for one in found["checks"])


def test_an_unknown_name_is_an_error(call):
    code, _, err = call("check", "method", "nosuch")
    assert code == 2
    assert "no method is called 'nosuch'" in err
