"""Shells complete methods, tasks, metrics, models, runs and hyper-parameters."""

import pytest
from click.shell_completion import get_completion_class

from lampbench.cli.main import cli

BROKEN = """
from lampbench.plugin import register_method


@register_method("broken")
class Broken:
    nothing = 1 / 0
"""

PLUGIN = """
from lampbench.plugin import Method, register_method


@register_method("mine")
class Mine(Method):
    \"\"\"Mine.\"\"\"

    title = "Mine"
"""


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["re"], ["reproduce", "report"]),
        (["list", "r"], ["runs"]),
        (["run", "--method", "cope_"], ["cope_init", "cope_oppu"]),
        (["run", "--method", "al"], ["all"]),
        (["run", "--method", "cope", "--task", "news"], ["news_headline"]),
        (["run", "--task=news"], ["news_headline"]),
        (["run", "--model", "bundled"], ["bundled", "bundled-small"]),
        (["run", "--preset", "s"], ["small", "smollm2-135m"]),
        (["show", "method", "tam"], ["tam", "tam_head", "tam_length"]),
        (["show", "task", "rev"], ["review_writing"]),
        (["score", "--metric", "rouge"], ["rouge1", "rouge2", "rougeL"]),
        (["table", "cross"], ["cross-model"]),
        (["run", "--method", "cope", "--set", "user_dpo.be"], ["user_dpo.beta="]),
        (["run", "--method", "tam", "--set", "user_dpo"], []),
        (["run", "--set", "user_dpo.be"], ["user_dpo.beta="]),
        (["run", "--set", "decoding.penalty_on="],
         ["decoding.penalty_on=scores", "decoding.penalty_on=logits"]),
        (["sweep", "--param", "decoding.al"], ["decoding.alpha="]),
        (["show", "method", "base", "--set", "decoding.tau"], []),
        (["run", "--method", "nothing", "--set", "decoding"], []),
    ],
)  # fmt: skip
def test_what_is_offered(complete, words, offered):
    assert complete(*words) == offered


def test_recorded_runs_are_offered_by_key(complete, record, tmp_path, monkeypatch):
    for key in ("aa11", "ab22", "b333"):
        record("cope", key=key)
    monkeypatch.chdir(tmp_path)
    assert complete("export", "a") == ["aa11", "ab22"]
    assert complete("compare", "aa11", "b") == ["b333"]
    assert complete("score", "--run", "") == ["aa11", "ab22", "b333"]
    assert complete("export", "--results", "elsewhere", "a") == []


def test_a_path_is_left_to_the_shell():
    zsh = get_completion_class("zsh")
    assert zsh is not None
    for words in (["export"], ["run", "--model"]):
        (item,) = zsh(cli, {}, "lampbench", "_LAMPBENCH_COMPLETE").get_completions(words, "./r")
        assert (item.type, item.value) == ("dir", "./r")


def test_plugins_are_offered_and_broken_ones_do_not_disturb(complete, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "broken.py").write_text(BROKEN)
    assert complete("run", "--plugins", str(tmp_path), "--method", "mi") == ["mine"]
    assert complete("run", "--plugins", "nowhere.py", "--method", "cope_i") == ["cope_init"]
    monkeypatch.setenv("LAMPBENCH_PLUGINS", str(tmp_path / "mine.py"))
    assert complete("show", "method", "mi") == ["mine"]
    assert complete("run", "--set", "user_dpo.be") == ["user_dpo.beta="]


def test_old_names_are_completed_in_silence(complete, capsys):
    assert complete("run", "--store", "x", "--method", "cope_i") == ["cope_init"]
    assert complete("tables", "--out") == ["--output"]
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def answer(python, tmp_path):
    """What lampbench prints when a shell asks it to complete the last of some words."""

    def ask(shell, *words, script="import lampbench.cli.main as m; m.main()", **env):
        done = python(
            "-c", script, cwd=tmp_path, _LAMPBENCH_COMPLETE=f"{shell}_complete",
            COMP_WORDS="\n".join(("lampbench", *words)),
            COMP_CWORD=words[-1] if shell == "fish" else str(len(words)), **env,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return ask


def test_each_shell_gets_its_form(answer):
    words = ("run", "--set", "user_dpo.be")
    meaning = "weight of the KL term, equation 6"
    assert answer("bash", *words) == (0, "plain,user_dpo.beta=\n", "")
    assert answer("zsh", *words) == (0, f"plain\nuser_dpo.beta=\n{meaning}\n", "")
    assert answer("fish", *words) == (0, f"plain,user_dpo.beta=\t{meaning}\n", "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("--set", "decoding.penalty_on", "=", "s"), "plain,scores\n"),
        (("--set", "decoding.penalty_on", "="), "plain,scores\nplain,logits\n"),
        (("--method", "=", "cope_i"), "plain,cope_init\n"),
    ],
)
def test_bash_splits_words_at_the_equals_sign(answer, words, offered):
    assert answer("bash", "run", *words) == (0, offered, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(python, shell):
    done = python("-m", "lampbench", _LAMPBENCH_COMPLETE=f"{shell}_source")
    assert done.returncode == 0 and not done.stderr
    assert "_lampbench_completion" in done.stdout
    no_blank_after_equals = {"bash": "-o nospace", "zsh": "-S ''", "fish": ""}
    assert no_blank_after_equals[shell] in done.stdout


def test_completion_is_light(answer):
    script = (
        "import sys, lampbench.cli.main as m\n"
        "try:\n m.main()\nexcept SystemExit:\n pass\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pandas', 'scipy', 'nltk', 'datasets'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    for words in (("run", "--set", "user_dpo.be"), ("export", ""), ("run", "--model", "b")):
        assert answer("bash", *words, script=script)[1].splitlines()[-1] == "[]"


def test_a_failure_is_silent(answer):
    script = (
        "import lampbench.cli.main as m, lampbench.cli.run as r\n"
        "def broken(*_): raise ZeroDivisionError\n"
        "r.run.shell_complete = broken\n"
        "m.main()\n"
    )
    assert answer("bash", "run", "--", script=script) == (1, "", "")
