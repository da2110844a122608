"""What the pages say is so: commands parse, links and files are there, numbers are recorded."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from lampbench.cli.main import cli
from lampbench.plugin.hyperparameter import read_config
from lampbench.registry import Registry
from tests.shared.pages import (
    ROOT,
    anchors,
    blocks,
    code_spans,
    commands,
    links,
    pages,
    prose,
    text,
)

PAGES = pages()
CURRENT = [page for page in PAGES if page != "CHANGELOG.md"]
"""Pages that speak of today's names alone."""


def test_every_code_block_is_of_a_kind_that_is_checked() -> None:
    kinds = {(block.page, block.language) for page in CURRENT for block in blocks(page)}
    assert {language for _, language in kinds} == {"python", "sh", "toml"}, sorted(kinds)


@pytest.mark.parametrize("page", [page for page in PAGES if list(commands(page))])
def test_commands_parse(
    page: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in commands(page):
        words = shlex.split(line, comments=True)
        words = words[: words.index("|")] if "|" in words else words
        if words[:1] == ["lampbench"]:
            command = _command(words[1:])
            assert command and not isinstance(command, click.Group), f"{page}: {line}"
            monkeypatch.setattr(command, "callback", lambda *_, **__: None)
            cli.main(words[1:], prog_name="lampbench", standalone_mode=False)
            assert "is now" not in capsys.readouterr().err, f"{page}: an old name in {line}"
        elif words:
            known = words[0] in ("export", "eval", ".", "pip", "git") or "=" in words[0]
            assert _other_command_exists(words) or known, f"{page}: {line}"


def _other_command_exists(words: list[str]) -> bool:
    """Whether the target of `make`, or the module or script that Python runs, is there."""
    match words:
        case ["make", *targets]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            names = [word for word in targets if "=" not in word and not word.startswith("-")]
            return all(re.search(rf"^([\w-]+ )*{name}\b.*:", makefile, re.M) for name in names)
        case ["git", *_]:
            return True
        case ["python", "-m", module, *_]:
            return importlib.util.find_spec(module) is not None
        case ["python" | "torchrun", *arguments]:
            return all((ROOT / word).is_file() for word in arguments if word.endswith(".py"))
    return False


def _command(words: list[str]) -> click.Command | None:
    """The command that words call; None where there is none of that name."""
    command: click.Command | None = cli
    for word in words:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        command = command.get_command(click.Context(command), word)
    return command


def _options(command: click.Command) -> set[str]:
    """The options of a command and of those below it."""
    context = click.Context(command)
    found = {name for one in command.get_params(context) for name in one.opts}
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if below := command.get_command(context, name):
                found |= _options(below)
    return found


@pytest.mark.parametrize("page", [p for p in CURRENT if p.startswith("docs/") or p == "README.md"])
def test_commands_and_options_in_prose_exist(page: str) -> None:
    spans = [*code_spans(page), *re.findall(r"^ {4}(lampbench .+)$", prose(page), re.M)]
    known = _options(cli)
    for span in spans:
        words = span.split()
        if words[0] in ("make", "python", "torchrun") and len(words) > 1:
            assert _other_command_exists(words), f"{page}: `{span}`"
            continue
        if words[0] == "lampbench" and len(words) > 1 and words[1].isalpha():
            command = _command(words[1:])
            assert command, f"{page}: there is no command `{span}`"
            options = _options(command)
        else:
            options = known
        used = {w.partition("=")[0] for w in words if re.match(r"--[a-z]", w)}
        if words[0] in ("lampbench", *used):
            assert used <= options, f"{page}: `{span}` has an unknown option"


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page: str) -> None:
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            other = file.resolve().relative_to(ROOT).as_posix()
            assert anchor in anchors(other), f"{page}: {target}"


@pytest.mark.parametrize("page", CURRENT)
def test_files_in_prose_exist(page: str) -> None:
    ours = re.compile(
        r"(?:lampbench|methods|tasks|tests|docs|scripts|benchmarks|tuning)/[\w./-]*|\w+\.md"
    )
    for span in code_spans(page):
        if ours.fullmatch(span):
            assert (ROOT / span).exists() or ((ROOT / page).parent / span).exists(), (page, span)


def test_configuration_files_are_read(tmp_path: Path) -> None:
    (example,) = [
        block for page in PAGES for block in blocks(page) if block.file and block.language == "toml"
    ]
    (tmp_path / "cope.toml").write_text(example.body)
    found = read_config(tmp_path / "cope.toml")
    assert {path: given.value for path, given in found.items()} == {
        "decoding.alpha": 0.5,
        "user_dpo.beta": 1.0,
    }


def _cells(line: str) -> list[str]:
    return [re.sub(r"\*\*| ≈|†", "", cell).strip() for cell in line.strip("|\n").split("|")]


def test_scores_in_the_readme_are_those_of_the_leaderboard() -> None:
    shown = [row for line in text("README.md").splitlines() if "[0." in (row := line)]
    board = [_cells(line) for line in text("leaderboard.md").splitlines() if "[0." in line]
    assert len(shown) == 6
    for line in shown:
        method, *scores = _cells(line)
        rows = [cells for cells in board if cells[0] == method]
        assert any(set(scores) <= set(cells) for cells in rows), line


def test_the_readme_explains_the_methods_that_its_table_shows() -> None:
    rows = [line for line in text("README.md").splitlines() if line.startswith("| ")]
    titles = [_cells(line)[0] for line in rows if "[0." in line]
    explained = [_cells(line)[0] for line in rows if "[0." not in line]
    methods = {
        Registry().method(name).title for name in ("base", "rag", "pag", "tam", "oppu", "cope")
    }
    assert set(titles) == methods
    assert methods <= set(explained)
