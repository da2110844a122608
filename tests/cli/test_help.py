"""What `--help` says: every command, option and heading."""

import re

import click
import pytest

from lampbench.cli.main import COMMANDS, cli

GROUPS = ["What to run", "Data", "Model", "Model behind an API", "Hyper-parameters",
          "Where things are", "Processes", "Output", "Other options"]  # fmt: skip
METAVARS = {
    "NAME", "MODEL", "METHOD", "PATH", "FILE", "DIR", "SOURCE", "N", "KEY", "TEXT", "DEVICE",
    "KEY=VALUE",    "SECTION.NAME=VALUE", "SECTION.NAME=V1,V2,...", "READ,TRAINED,WRITTEN", "URL",
    "READ,WRITTEN", "I/N", "SIZE", "ADDRESS", "ID",
}  # fmt: skip
WITHOUT_DEFAULT = {
    "--plugins", "--set", "--config", "--speed", "--lamp", "--model-arg", "--engine-arg", "--url",
    "--api-base", "--price", "--vllm-python", "--vllm-url",
    "--shard",
}  # fmt: skip
DIALECT = re.compile(
    r"\b(mend|whom|oracle|stands?|lacks?|anew|aside|part,|held against|a user of|one a|"
    r"goes on|nobody|made of|what of)\b", re.IGNORECASE
)  # fmt: skip


def commands(command=cli, path=()):
    """Every command that does something, with the words that call it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), (*path, name))


EVERY = list(commands())
NAMES = [" ".join(path) for path, _ in EVERY]


def test_every_command_is_here():
    assert {"run", "list runs", "show method", "data audit", "import predictions"} <= set(NAMES)
    assert len(NAMES) >= 20


@pytest.mark.parametrize(("path", "command"), EVERY, ids=NAMES)
def test_help_fits_and_is_plain(call, path, command):
    code, out, err = call(*path, "--help")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert not DIALECT.findall(out)
    assert "may be repeated" not in out
    assert command.help and command.help.split("\n")[0].rstrip().endswith((".", ":"))


@pytest.mark.parametrize(("path", "command"), EVERY, ids=NAMES)
def test_every_option_is_explained_in_one_form(path, command):
    for option in command.params:
        if not isinstance(option, click.Option):
            continue
        name = option.opts[0]
        assert option.help and option.help.endswith((".", "]")), name
        told = [bool(option.show_default), "[default:" in option.help, option.required,
                option.is_flag, name in WITHOUT_DEFAULT or "Only" in option.help]  # fmt: skip
        assert told.count(True) == 1, name
        if not option.is_flag:
            choices = isinstance(option.type, click.Choice)
            assert choices or option.metavar in METAVARS, name
        if option.multiple:
            assert "epeatable" in option.help, name


@pytest.mark.parametrize("command", ["run", "sweep", "reproduce"])
def test_options_are_under_headings(call, command):
    out = call(command, "--help")[1]
    assert re.findall(r"^(\S.*):$", out, re.MULTILINE) == GROUPS


def test_run_has_each_option_under_its_heading(call):
    sections = re.split(r"^(\S.*):$", call("run", "--help")[1], flags=re.MULTILINE)[1:]
    found = dict(zip(sections[::2], sections[1::2], strict=True))
    under = {heading: re.findall(r"^  (--[\w-]+)", text, re.MULTILINE)
             for heading, text in found.items()}  # fmt: skip
    assert under == {
        "What to run": ["--method", "--task", "--model", "--seed", "--plugins"],
        "Data": [
            "--data",
            "--users",
            "--min-history",
            "--max-history",
            "--split-by",
            "--split",
            "--data-seed",
        ],
        "Model": [
            "--engine",
            "--engine-arg",
            "--vllm-python",
            "--vllm-url",
            "--chat-template",
            "--device",
            "--dtype",
            "--model-arg",
            "--batch-size",
        ],
        "Model behind an API": ["--api-base", "--price", "--max-cost", "--max-total-tokens"],
        "Hyper-parameters": ["--preset", "--set", "--config", "--fidelity"],
        "Where things are": ["--results", "--cache-dir"],
        "Processes": ["--workers", "--executor", "--address", "--shard"],
        "Output": [
            "--private",
            "--rewards",
            "--force",
            "--dry-run",
            "--max-hours",
            "--format",
        ],
        "Other options": [],
    }


def test_defaults_are_shown(call):
    out = " ".join(call("run", "--help")[1].split())
    for shown in ("[default: bundled]", "[default: 0]", "[default: .lampbench/cache]",
                  "[default: batched]", "[default: the model's own]", "[required]"):  # fmt: skip
        assert shown in out


def test_the_main_help_lists_every_command_under_a_heading(call):
    code, out, _ = call()
    assert code == 0 and out == call("--help")[1]
    for heading, section in COMMANDS.items():
        assert f"{heading}:\n" in out
        for name, (_, text) in section.items():
            assert re.search(rf"^  {name} +{re.escape(text)}$", out, re.MULTILINE)


def test_every_listed_command_has_its_name():
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None and command.name == name


HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "nltk", "numpy", "scipy", "pandas"}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["run", "--help"], ["list", "methods"], ["list", "tasks"],
     ["list", "models"], ["show", "task", "news_headline"], ["nonsense"]],
)  # fmt: skip
def test_quick_answers_import_nothing_heavy(python, arguments):
    script = (
        "import sys\nfrom lampbench.cli.main import main\n"
        f"try:\n main({arguments!r})\nexcept SystemExit:\n pass\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))\n"
        "print(sum(name.startswith('lampbench.') for name in sys.modules))\n"
    )
    done = python("-c", script)
    *_, heavy, ours = done.stdout.splitlines()
    assert heavy == "[]", done.stderr
    if arguments == ["--help"]:
        assert int(ours) <= 12  # no command was imported
