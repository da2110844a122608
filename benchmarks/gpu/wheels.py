"""Installing what is missing, from a folder of wheels and into a folder of its own."""

import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from benchmarks.gpu.part import PACKAGES, Outcome, Part, environment, run_part

_TRY = (
    "import importlib, json, sys\n"
    "failed = {}\n"
    "for name in sys.argv[1:]:\n"
    "    try:\n"
    "        importlib.import_module(name)\n"
    "    except BaseException as error:\n"
    "        failed[name] = f'{type(error).__name__}: {error}'\n"
    "print(json.dumps(failed))\n"
)


def install_missing(wheels: Path, folder: Path, limit: float) -> Outcome:
    """Install those wheels of which a module cannot be imported, into `folder`/packages.

    Without dependencies and without a network: what the wheels need must be there or among them.
    What cannot be imported afterwards either makes the part fail.
    """
    began = time.monotonic()
    modules = {wheel: top_modules(wheel) for wheel in sorted(wheels.glob("*.whl"))}
    packages = folder / PACKAGES
    missing = unimportable({name for names in modules.values() for name in names}, folder)
    chosen = [wheel for wheel, names in modules.items() if names & missing.keys()]
    install = ["-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--upgrade",
               "--disable-pip-version-check", "--target", str(packages),
               *map(str, chosen)]  # fmt: skip
    found = folder / "wheels.found.json"
    part = Part("wheels", "cpu", 0.0, [install] if chosen else [], found)
    installed = run_part(part, limit, folder)
    if str(packages) not in sys.path:
        sys.path.append(str(packages))  # so that the versions of what is there are told
    still = unimportable({name for wheel in chosen for name in modules[wheel]}, folder)
    page = {"wheels": len(modules), "installed": [w.name for w in chosen], "unusable": still}
    found.write_text(json.dumps(page), encoding="utf-8")
    state = "failed" if still and installed.state == "passed" else installed.state
    if not modules:
        state, still = "failed", {str(wheels): "no *.whl files are there"}
    error = installed.error or "\n".join(f"{name}: {why}" for name, why in still.items()) or None
    outcome = Outcome.of(part, state, time.monotonic() - began, limit, installed.exit_code, error)
    outcome.write(folder)
    return outcome


def top_modules(wheel: Path) -> set[str]:
    """Names under which a wheel's packages and modules are imported."""
    found = set()
    with zipfile.ZipFile(wheel) as archive:
        for path in map(PurePosixPath, archive.namelist()):
            first = path.parts[0]
            if path.name == "__init__.py" and len(path.parts) == 2:
                found.add(first)
            elif len(path.parts) == 1 and path.suffix in (".py", ".so"):
                found.add(first.partition(".")[0])
    return found


def unimportable(names: Iterable[str], folder: Path) -> dict[str, str]:
    """The modules that cannot be imported here, each with its error."""
    done = subprocess.run(
        [sys.executable, "-c", _TRY, *sorted(names)], env=environment(folder), capture_output=True,
        text=True, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    failed: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return failed
