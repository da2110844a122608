"""Known vulnerabilities of the packages in constraints.txt, as pip-audit finds them.

    python -m scripts.audit_dependencies             skips, and says so, what cannot be audited
    python -m scripts.audit_dependencies --required  fails instead; for CI, which has a network

pip-audit is not among lampbench's own dependencies: `pip install pip-audit`. It asks PyPI's
advisory database about every package and sends nothing else.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 300
_SKIPPED = "SKIPPED, nothing is known about vulnerabilities"


def pip_audit(requirements: Path) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit says of each package; where it says nothing, an empty list and why."""
    program = shutil.which("pip-audit", path=f"{Path(sys.executable).parent}") or shutil.which(
        "pip-audit"
    )
    if program is None:
        return [], "pip-audit is not installed (pip install pip-audit)"
    command = [program, "--requirement", str(requirements), "--no-deps", "--disable-pip",
               "--format", "json", "--progress-spinner", "off"]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [], f"pip-audit did not end within {SECONDS} s"
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return [], f"pip-audit failed, perhaps without a network: {last[:300]}"
    return found, ""


def verdict(found: list[dict[str, Any]], problem: str) -> tuple[list[str], int]:
    """Lines to print, and 0: all audited and none vulnerable; 1: one is; 3: not all were audited.

    pip-audit itself ends well where its database knows none of the packages.
    """
    lines = [
        f"{one['name']} {one['version']}: {flaw['id']}"
        + (f", fixed in {', '.join(flaw['fix_versions'])}" if flaw.get("fix_versions") else "")
        for one in found
        for flaw in one.get("vulns", ())
    ]
    skipped = [one for one in found if "skip_reason" in one]
    vulnerable = sum(bool(one.get("vulns")) for one in found)
    if not found:
        lines.append(f"{_SKIPPED}: {problem or 'pip-audit named no package'}")
    elif skipped:
        first = skipped[0]
        lines.append(
            f"{_SKIPPED} of {len(skipped)} of {len(found)} packages, first {first['name']}: "
            f"{first['skip_reason'][:200]}"
        )
    if vulnerable:
        lines.append(f"{vulnerable} of {len(found)} packages have known vulnerabilities")
        return lines, 1
    if not found or skipped:
        return lines, 3
    return [f"no known vulnerability in {len(found)} packages"], 0


def main() -> None:
    """Audit, and leave with 1 where a package is vulnerable or an audit is required and missing."""
    parser = argparse.ArgumentParser(description="Known vulnerabilities of all dependencies.")
    parser.add_argument("--required", action="store_true", help="fail where nothing is known")
    required = parser.parse_args().required
    lines, status = verdict(*pip_audit(ROOT / "constraints.txt"))
    print("\n".join(lines))
    sys.exit(status if status == 1 or required else 0)


if __name__ == "__main__":
    main()
