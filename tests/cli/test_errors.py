"""What bad input gets: one line, exit code 2, nothing half-written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lampbench.cli.main import main


@pytest.fixture
def lampbench(capsys, tmp_path, monkeypatch):
    """Run the command line in an empty folder; returns exit code and the lines on stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return left.value.code, captured.err.splitlines(), captured.out

    return run


RUN = ["run", "--method", "base", "--task", "news_headline"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--method", "cop", "--task", "news_headline"], "did you mean cope?"),
        (["run", "--method", "cope", "--task", "news_headlin"], "did you mean news_headline?"),
        ([*RUN, "--model", "bundle"], "did you mean bundled?"),
        ([*RUN, "--model", "."], "config.json is missing"),
        ([*RUN, "--frce"], "'--force'"),
        ([*RUN, "--set", "decoding.max_new_token=1"], "did you mean decoding.max_new_tokens?"),
        ([*RUN, "--set", "decoding.alpha=1"], "no hyper-parameter here"),
        ([*RUN, "--set", "decoding.max_new_tokens=none"], "type int"),
        ([*RUN, "--set", "decoding.max_new_tokens=0"], "at least 1"),
        ([*RUN, "--set", "nonsense"], "SECTION.NAME=VALUE"),
        ([*RUN, "--config", "missing.toml"], "missing.toml: cannot be read"),
        ([*RUN, "--data", "lamp:nowhere"], "nowhere"),
        ([*RUN, "--data", "nowhere"], "nowhere"),
        ([*RUN, "--users", "0"], "--users"),
        ([*RUN, "--plugins", "missing.py"], "missing.py"),
        ([*RUN, "--chat-template", "nope"], "no chat template is called 'nope'"),
        ([*RUN, "--device", "warp"], "device 'warp'"),
        ([*RUN, "--cache-dir", "/dev/null/x"], "--cache-dir"),
        ([*RUN, "--results", "/dev/null/x"], "--results"),
        (["show", "method", "cope", "--task", "nothing"], "no task is called 'nothing'"),
        (["show", "task", "topic"], "did you mean topic_writing?"),
        (["nonsense"], "nonsense"),
        (["list", "everything"], "everything"),
        (["data", "stats", "--task", "topics"], "topic"),
    ],
)
def test_one_line_and_exit_code_2(lampbench, arguments, said, tmp_path):
    code, lines, _ = lampbench(*arguments)
    assert code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert said in lines[0]
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_configuration_file_with_a_mistake_is_named(lampbench, tmp_path):
    (tmp_path / "c.toml").write_text("[decoding]\nmax_new_tokens = \n")
    code, lines, _ = lampbench(*RUN, "--config", "c.toml")
    assert code == 2
    assert len(lines) == 1
    assert "c.toml: not a TOML file" in lines[0]


def test_a_method_without_training_data_is_refused(lampbench, tmp_path):
    folder = tmp_path / "data" / "news_headline"
    folder.mkdir(parents=True)
    user = {
        "id": "u", "queries": [{"id": "q", "date": None, "fields": {"text": "t"}, "target": "x"}],
        "history": [{"id": "r", "date": None, "fields": {"text": "t"}, "target": "x"}],
    }  # fmt: skip
    (folder / "test.jsonl").write_text(json.dumps(user) + "\n")
    (folder / "train.jsonl").write_text("")
    info = {
        "task": "news_headline", "source": "made up", "licence": "none", "attribution": "nobody",
        "synthetic": True, "description": "one user",
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(info))
    code, lines, _ = lampbench(
        "run", "--method", "tam", "--task", "news_headline", "--data", f"lampbench:{tmp_path}/data"
    )
    assert code == 2
    assert len(lines) == 1


def test_faults_are_no_tracebacks(lampbench, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("a fault\nof ours")

    monkeypatch.setattr("lampbench.registry.Registry.rows", broken)
    code, lines, _ = lampbench("list", "methods")
    assert code == 1
    assert lines == [
        "fault in lampbench: ZeroDivisionError: a fault of ours (LAMPBENCH_TRACEBACK=1 shows "
        "where; what was finished is kept)"
    ]


@pytest.mark.parametrize("arguments", [["--help"], ["list", "methods"], ["list", "tasks"],
                                       ["list", "models"], ["run", "--help"]])  # fmt: skip
def test_quick_answers_do_without_torch(arguments):
    script = (
        "import sys\nfrom lampbench.cli.main import main\n"
        f"try:\n main({arguments!r})\nexcept SystemExit as left:\n assert left.code == 0\n"
        "heavy = {'torch', 'transformers', 'peft', 'trl', 'datasets', 'nltk', 'numpy', 'scipy'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("HEAVY []")


def test_show_names_the_papers_values_first(lampbench):
    code, _, out = lampbench("show", "method", "cope", "--task", "news_headline")
    assert code == 0
    rows = {line.split()[0]: line.split()[1] for line in out.splitlines() if "." in line[:20]}
    assert rows["decoding.alpha"] == "0.3"
    assert rows["decoding.tau"] == "0.1"
    assert rows["user_dpo.beta"] == "3.0"
    assert rows["task_sft.learning_rate"] == "1e-05"
    assert rows["user_dpo.learning_rate"] == "5e-06"
    assert rows["negatives.n"] == "3"
