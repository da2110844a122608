"""The licence of every package that lampbench is used, tested or built with: docs/licences.md.

    python -m scripts.licences            write the page
    python -m scripts.licences --check    write nothing; exit with 1 if the page is out of date

The packages are those of constraints.txt; the licences are what the installed packages say.
"""

import argparse
import re
import sys
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import cast

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/licences.md"
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What classifiers call a licence, and its SPDX identifier; BSD does not say which of its forms."""

FIELDS = {
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache2.0": "Apache-2.0",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
}
"""Other words for a licence, and its SPDX identifier."""

NOT_INSTALLED = {
    "jsonschema": "MIT",
    "jsonschema-specifications": "MIT",
    "msgpack": "Apache-2.0",
    "protobuf": "BSD-3-Clause",
    "ray": "Apache-2.0",
    "referencing": "MIT",
    "rpds-py": "MIT",
}
"""What packages of the extra `ray` say, which the environment of `make env` is without."""

_ABOUT = """\
# Licences of dependencies

What the packages of `constraints.txt` say of their licences. lampbench contains none of them; pip
installs them beside it. `run`: needed to use lampbench; `develop`: only by its tests, tools and
extras. Written by `make licences`; CI checks that it is up to date. Platforms may add packages,
such as NVIDIA's libraries for CUDA, which have licences of their own.

| package | version | licence | needed to |
|---|---|---|---|"""

_LONGEST = 60  # some packages write the whole text of a licence into this field


def pinned(constraints: str) -> dict[str, str]:
    """The packages of a constraints file, with their versions."""
    return dict(re.findall(r"^([A-Za-z0-9][\w.-]*)==(\S+)$", constraints, re.MULTILINE))


def licence(package: str) -> str:
    """What an installed package says of its licence: an SPDX expression where it gives one.

    Raises:
        SystemExit: it is not installed, or says nothing.
    """
    try:
        about = cast(Message, metadata.metadata(package))
    except metadata.PackageNotFoundError:
        sys.exit(f"{package} is not installed; run this in the environment of `make env`")
    if expression := about.get("License-Expression"):
        return str(expression)
    named = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or []
             if line.startswith("License :: ")]  # fmt: skip
    found = [CLASSIFIERS.get(name, name) for name in named if name != "OSI Approved"]
    field = " ".join((about.get("License") or "").split())
    # "MIT License", then its text
    field = "MIT" if field.startswith("MIT License Copyright") else field
    field = FIELDS.get(field, field) if len(field) <= _LONGEST else ""
    if field.startswith("BSD-") and found == ["BSD"]:
        return field
    if found or field:
        return " AND ".join(sorted(set(found))) or field
    sys.exit(f"{package} does not say what its licence is; add it to scripts/licences.py")


def needed_to_run() -> set[str]:
    """The packages that lampbench requires, and what these require, by normalised name."""
    found: set[str] = set()
    waiting = [("lampbench", "")]
    while waiting:
        package, extra = waiting.pop()
        for text in metadata.requires(package) or ():
            asked = Requirement(text)
            name = normalised(asked.name)
            if asked.marker is not None and not asked.marker.evaluate({"extra": extra}):
                continue
            if name not in found and _installed(name):
                found.add(name)
                waiting += [(name, one) for one in ("", *asked.extras)]
    return found


def normalised(package: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def page(constraints: str) -> str:
    """The text of the page.

    Raises:
        SystemExit: a package of the constraints is not installed, or in another version.
    """
    run = needed_to_run()
    rows = []
    for package, version in sorted(pinned(constraints).items(), key=lambda one: one[0].lower()):
        if package in NOT_INSTALLED and not _installed(package):
            rows.append(f"| {package} | {version} | {NOT_INSTALLED[package]} | develop |")
            continue
        said = licence(package)
        if (installed := metadata.version(package).partition("+")[0]) != version:
            sys.exit(f"{package} {installed} is installed, not {version}; run `make env` first")
        use = "run" if normalised(package) in run else "develop"
        rows.append(f"| {package} | {version} | {said} | {use} |")
    return "\n".join([_ABOUT, *rows, ""])


def main() -> None:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description="The licences of all dependencies.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    text = page((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    if check:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit(f"{PAGE.relative_to(ROOT)} is out of date; run `make licences`")
        return
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
