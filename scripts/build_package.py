"""Build the source archive and the wheel from what is committed, check both, and try the wheel.

    python -m scripts.build_package [--output dist] [--reuse-dependencies]

Links of README.md, which the package index shows as the project's page, are made absolute: they
lead to the files of the version's tag. The wheel is installed in a bare environment outside the
checkout and run there.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

from lampbench.util.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
FILES = "https://github.com/lampbench/lampbench/blob/v{version}/"
TRIED = (
    ["--version"],
    ["list", "methods"],
    ["data", "stats", "--task", "news_headline"],
    ["run", "--method", "base", "--task", "news_headline", "--users", "1"],
)
"""Commands that must work outside the checkout."""

_LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s]+)(?=\))")


def with_absolute_links(page: str, version: str) -> str:
    """A page of the repository's root whose links to files lead to those of a version."""

    def absolute(found: re.Match[str]) -> str:
        target = found["target"]
        return target if is_absolute(target) else FILES.format(version=version) + target

    return _LINK.sub(absolute, page)


def is_absolute(target: str) -> bool:
    """Whether a link leads to the same place from anywhere, or stays on its page."""
    return target.startswith("#") or re.match(r"[a-z]+:", target) is not None


def relative_links(page: str) -> list[str]:
    """Links that would be broken where the page is shown alone."""
    return [target for target in _LINK.findall(page) if not is_absolute(target)]


def index_pages(folder: Path) -> dict[str, str]:
    """The page that the package index would show, by the file that says so."""
    found = {}
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            (name,) = (n for n in packed.namelist() if n.endswith(".dist-info/METADATA"))
            found[wheel.name] = _description(packed.read(name))
    for archive in folder.glob("*.tar.gz"):
        with tarfile.open(archive) as packed:
            top = packed.getnames()[0].split("/")[0]
            stream = packed.extractfile(f"{top}/PKG-INFO")
            assert stream is not None
            found[archive.name] = _description(stream.read())
    return found


def _description(metadata: bytes) -> str:
    return str(message_from_bytes(metadata).get_payload())


def export_tree(target: Path, version: str) -> None:
    """Write what is committed, with the index page's links made absolute."""
    packed = subprocess.run(
        ["git", "-C", str(ROOT), "archive", "--format=tar", "HEAD"], capture_output=True, check=True
    ).stdout
    target.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(target)], input=packed, check=True)
    page = target / "README.md"
    page.write_text(with_absolute_links(page.read_text("utf-8"), version), encoding="utf-8")


def build(output: Path, work: Path, *, isolated: bool) -> None:
    """Build both archives, and check them and the index page.

    Raises:
        SystemExit: a step fails, or a link of the index page is relative.
    """
    source = work / "source"
    export_tree(source, VERSION)
    shutil.rmtree(output, ignore_errors=True)
    options = [] if isolated else ["--no-isolation"]
    _run(sys.executable, "-m", "build", *options, "--outdir", output, source, cwd=work)
    _run(sys.executable, "-m", "twine", "check", "--strict", *sorted(output.iterdir()), cwd=work)
    pages = index_pages(output)
    if len(pages) != 2:
        raise SystemExit(f"{output}: has {sorted(pages)}, not one wheel and one source archive")
    for name, page in pages.items():
        if not page.strip():
            raise SystemExit(f"{name}: has no index page")
        if broken := relative_links(page):
            raise SystemExit(f"{name}: the index page has relative links, first {broken[0]}")
    print(f"{output}: {', '.join(sorted(pages))}; every link of the index page is absolute")


def try_wheel(output: Path, work: Path, *, reuse: bool) -> None:
    """Install the wheel in a bare environment outside the checkout, and run commands there.

    With `reuse` the environment sees the packages that are installed here, instead of downloading
    its dependencies.

    Raises:
        SystemExit: the installation or a command fails.
    """
    bare = work / "bare"
    venv.create(bare, with_pip=True)
    python = bare / "bin" / "python"
    (wheel,) = output.resolve().glob("*.whl")
    options = ["--no-deps"] if reuse else ["-c", ROOT / "constraints.txt"]
    _run(python, "-m", "pip", "install", "--quiet", *options, wheel, cwd=work)
    if reuse:
        (packages,) = bare.glob("lib/python*/site-packages")
        here = [path for path in sys.path if Path(path).name == "site-packages"]
        (packages / "reused.pth").write_text("\n".join(here))
    elsewhere = work / "elsewhere"
    elsewhere.mkdir()
    for command in TRIED:
        print(f"$ lampbench {' '.join(command)}", flush=True)
        _run(bare / "bin" / "lampbench", *command, cwd=elsewhere)


def _run(*command: object, cwd: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:4]))} ...: exit code {done.returncode}")


def main() -> None:
    """Read the command line, build and check."""
    parser = argparse.ArgumentParser(description="Build and check the package.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    parser.add_argument(
        "--reuse-dependencies", action="store_true",
        help="download nothing: build and try with the packages that are installed here",
    )  # fmt: skip
    options = parser.parse_args()
    output = options.output.absolute()
    with tempfile.TemporaryDirectory() as folder:
        build(output, Path(folder), isolated=not options.reuse_dependencies)
        try_wheel(output, Path(folder), reuse=options.reuse_dependencies)


if __name__ == "__main__":
    main()
