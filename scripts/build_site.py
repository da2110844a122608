"""Build the documentation site from the pages of the repository, and check every link.

    python -m scripts.build_site

All Markdown pages and their plots are copied into `build/site-pages`, where each keeps its place,
so that links between them are the same as in the repository. Links to other files lead to GitHub.
Pages of the Python interface (from docstrings) and of the command line (from its help) are added.
mkdocs then fails where a link or an anchor is broken.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import click

from lampbench.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build/site-pages"
FILES = "https://github.com/lampbench/lampbench/blob/main/"
LEFT_OUT = (".github/", "tests/")
"""Pages that are for those who have the repository before them."""

_LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")
_CODE = re.compile(r"(^ *```.*?^ *```|`[^`\n]+`)", re.M | re.S)
_NAVIGATION = re.compile(r"^ +- .+: (\S+\.md)$", re.M)

REFERENCE = {
    "python": ("The Python interface", "lampbench.api"),
    "plugin": ("What authors of plugins import", "lampbench.plugin"),
}
"""Pages of the reference: title, and the package whose exports are shown."""
RECORD = (
    "lampbench.record.recorded_run.Run",
    "lampbench.record.runs.Runs",
    "lampbench.record.manifest",
)


def page_names(root: Path = ROOT, kind: str = "*.md") -> list[str]:
    """Every page (or plot: `*.svg`) of the site that is in the repository, committed or new."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", kind],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return sorted(n for n in listed if not n.startswith(LEFT_OUT) and (root / n).is_file())


def with_site_links(text: str, page: str, pages: set[str], root: Path = ROOT) -> str:
    """A page whose links to files that are no pages lead to GitHub.

    Raises:
        SystemExit: a link leads to a file that is not there.
    """

    def moved(found: re.Match[str]) -> str:
        target = found["target"]
        if re.match(r"[a-z]+:", target):
            return found[0]
        path = PurePosixPath(os.path.normpath(PurePosixPath(page).parent / target)).as_posix()
        if path in pages:
            return found[0]
        if not (root / path).exists():
            raise SystemExit(f"{page}: links to {target}, which is not there")
        return f"{FILES}{path}{found['anchor'] or ''}"

    parts = _CODE.split(text)  # every second part is code
    return "".join(part if odd % 2 else _LINK.sub(moved, part) for odd, part in enumerate(parts))


def absent_pages(navigation: str, pages: set[str]) -> list[str]:
    """Pages that the navigation names and that are not there."""
    return [name for name in _NAVIGATION.findall(navigation) if name not in pages]


def command_pages(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """The help of a command and of those below it, by name."""
    context = click.Context(command, info_name=name, terminal_width=88, max_content_width=88)
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            if below := command.get_command(context, each):
                yield from command_pages(below, f"{name} {each}")


def reference_pages() -> dict[str, str]:
    """Pages that are made from the code."""
    made = {}
    for name, (title, package) in REFERENCE.items():
        exported = __import__(package, fromlist=["__all__"]).__all__
        shown = "\n\n".join(f"::: {package}.{one}" for one in sorted(exported, key=str.lower))
        made[f"reference/{name}.md"] = f"# {title}\n\n{shown}\n"
    shown = "\n\n".join(f"::: {name}" for name in RECORD)
    made["reference/record.md"] = f"# Recorded runs\n\n{shown}\n"
    helps = "\n\n".join(
        f"## {name}\n\n```text\n{text}\n```" for name, text in command_pages(cli, "lampbench")
    )
    made["reference/commands.md"] = f"# Command line\n\n{helps}\n"
    return made


def assemble() -> Path:
    """Write all pages, and the configuration without those that are not there yet.

    Raises:
        SystemExit: a link leads nowhere.
    """
    shutil.rmtree(PAGES, ignore_errors=True)
    names, plots = page_names(), page_names(kind="docs/*.svg")
    made = reference_pages()
    known = {*names, *plots, *made}
    for name in names:
        target = PAGES / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(with_site_links((ROOT / name).read_text("utf-8"), name, known), "utf-8")
    for name in plots:
        (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, PAGES / name)
    for name, text in made.items():
        (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
        (PAGES / name).write_text(text, "utf-8")
    return _configuration(known)


def _configuration(pages: set[str]) -> Path:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    for name in absent_pages(text, pages):
        print(f"{name}: not there yet, left out of the navigation")
        text = re.sub(rf"^ +- .+: {re.escape(name)}\n", "", text, flags=re.M)
    path = ROOT / "build" / "mkdocs.yml"
    text = text.replace("build/site", "site").replace('paths: ["."]', 'paths: [".."]')
    path.write_text(text, "utf-8")
    return path


def main() -> None:
    """Assemble the pages and let mkdocs build the site."""
    configuration = assemble()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean", "-f"]
    sys.exit(subprocess.run([*command, str(configuration)], cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
