"""Names of the version before: they work as the new ones do, and one line says the new name."""

import json

import pytest

from lampbench.cli.renamed import current_arguments

DATA = ["data", "stats", "--task", "review_writing", "--format", "json"]
REPRODUCE = ["reproduce", "paper", "--data", "bundled", "--model", "bundled", "--task",
             "news_headline", "--users", "2"]  # fmt: skip


def note(old, new):
    return f"note: {old} is now {new}; the old name will be removed in the next version\n"


@pytest.mark.parametrize(
    ("before", "old", "new"),
    [
        (DATA, ["--part", "dev"], ["--split", "dev"]),
        (DATA, ["--part=dev"], ["--split=dev"]),
        (DATA, ["--split", "user"], ["--split-by", "user"]),
        (DATA, ["--split=time"], ["--split-by=time"]),
        (REPRODUCE, ["--only", "ablation"], ["--experiment", "ablation"]),
    ],
)
def test_an_old_option_does_what_the_new_one_does(call, before, old, new):
    code, out, err = call(*before, *old)
    assert code == 0 and out
    assert call(*before, *new) == (0, out, "")
    by_value = {"--split user": "--split-by user", "--split time": "--split-by time"}
    words = " ".join(old).replace("=", " ")
    named = (words, by_value[words]) if words in by_value else (words.split()[0], new[0])
    assert err == note(*(name.partition("=")[0] for name in named))
    assert out != call(*before)[1] or "--split-by" not in new[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (["--backend", "reference"], ["--engine", "reference"],
         note("--backend reference", "--engine reference")),
        (["--backend", "many"], ["--engine", "batched"],
         note("--backend many", "--engine batched")),
        (["--template", "gemma"], ["--chat-template", "gemma"],
         note("--template", "--chat-template")),
        (["--part", "dev"], ["--split", "dev"], note("--part", "--split")),
    ],
)  # fmt: skip
def test_an_old_option_of_run_plans_the_same_run(planned, old, new, said):
    found, err = planned("--method", "base", *old)
    assert err == said
    assert planned("--method", "base", *new) == (found, "")
    if new != ["--engine", "batched"]:
        assert planned("--method", "base")[0] != found


def test_the_cache_by_its_old_names(call, tmp_path, monkeypatch):
    def listed(*arguments):
        code, out, err = call("cache", "list", *arguments)
        assert code == 0
        return out.partition(":")[0], err

    assert listed("--store", "one") == ("one", note("--store", "--cache-dir"))
    monkeypatch.setenv("LAMPBENCH_STORE", "two")
    assert listed() == ("two", note("LAMPBENCH_STORE", "LAMPBENCH_CACHE_DIR"))
    monkeypatch.setenv("LAMPBENCH_CACHE_DIR", "three")
    assert listed() == ("three", "")
    assert listed("--cache-dir", "four") == ("four", "")
    assert not (tmp_path / ".lampbench").exists()


def test_tables_is_leaderboard_or_table(call, record, tmp_path):
    record("cope")
    record("oppu", good=3)
    code, out, err = call("tables", "--output", "page.md")
    assert (code, err) == (0, note("lampbench tables", "lampbench leaderboard"))
    assert (tmp_path / "page.md").is_file()
    for arguments in (["main"], ["--format", "json", "gains"]):
        name = next(word for word in arguments if word in ("main", "gains"))
        code, out, err = call("tables", *arguments)
        assert (code, err) == (0, note(f"lampbench tables {name}", f"lampbench table {name}"))
        assert call("table", *arguments) == (0, out, "")


def test_a_format_by_its_old_name(call):
    before = ["data", "stats", "--task", "review_writing"]
    code, out, err = call(*before, "--format", "table")
    assert (code, err) == (0, note("--format table", "--format text"))
    assert call(*before) == (0, out, "")


RUN = {"--split": True, "--split-by": True, "--title": True, "--force": False}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["--split", "test", "--force"], ["--split", "test", "--force"]),
        (["--title", "--part", "x"], ["--title", "--part", "x"]),
        (["--title=--part", "--", "--part", "y"], ["--title=--part", "--", "--part", "y"]),
        (["--force", "--part", "dev"], ["--force", "--split", "dev"]),
        (["--part", "user"], ["--split", "user"]),
        (["--store", "x"], ["--store", "x"]),
        (["file", "--part"], ["file", "--split"]),
        (["--split", "user", "--split", "dev"], ["--split-by", "user", "--split", "dev"]),
    ],
)
def test_only_options_are_replaced_and_only_where_the_new_one_is_known(typed, meant):
    assert current_arguments(typed, RUN) == meant


def test_a_name_is_said_once(capsys):
    assert current_arguments(["--part", "dev", "--part=test"], RUN)
    assert capsys.readouterr().err == note("--part", "--split")


def test_the_recorded_command_is_the_one_that_was_typed(small_run, tmp_path):
    """The manifest has the command that was given, so that it can be given again."""
    assert small_run("--method", "base", "--store", "c")[0] == 0
    (manifest,) = (tmp_path / "results").glob("*/*/*/*/manifest.json")
    typed = "lampbench run --task news_headline --users 2 --method base --store c"
    assert json.loads(manifest.read_text())["command"] == typed
