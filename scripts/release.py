"""Check that a version may be released, build and check its package, and tag it.

    python -m scripts.release [--reuse-dependencies]

Nothing is pushed.
"""

import re
import subprocess
import sys
from pathlib import Path

from lampbench.util.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?")


def reasons_against(root: Path, version: str) -> list[str]:
    """Why a version must not be released from a checkout, one line each."""
    found = []
    if not _VERSION.fullmatch(version):
        found.append(f"{version} is no version of SemVer; correct lampbench/util/version.py")
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.M):
        found.append(f"CHANGELOG.md has no dated section [{version}]; date it")
    if f"\n[{version}]: " not in changelog:
        found.append(f"CHANGELOG.md has no link for [{version}]; add it at the end")
    if f"\nversion: {version}\n" not in (root / "CITATION.cff").read_text("utf-8"):
        found.append(f"CITATION.cff names another version than {version}; correct it")
    if changed := _git(root, "status", "--porcelain"):
        found.append(f"{len(changed.splitlines())} files are not committed; commit or remove them")
    if _git(root, "tag", "--list", f"v{version}"):
        found.append(f"v{version} is tagged already; raise VERSION in lampbench/util/version.py")
    return found


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def main() -> None:
    """Release, or leave with 2 and the reasons against it."""
    if reasons := reasons_against(ROOT, VERSION):
        print("\n".join(reasons), file=sys.stderr)
        sys.exit(2)
    build = [sys.executable, "-m", "scripts.build_package", *sys.argv[1:]]
    if status := subprocess.run(build, cwd=ROOT, check=False).returncode:
        sys.exit(status)
    _git(ROOT, "tag", "--annotate", f"v{VERSION}", "--message", f"lampbench {VERSION}")
    print(f"v{VERSION} is tagged; publish it with: git push origin main v{VERSION}")


if __name__ == "__main__":
    main()
