"""`pip install lampbench[vllm]` can be resolved: no range excludes what vLLM 0.33 pins."""

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
PINS = ROOT / "tests/fixtures/vllm-0.33.0-requires.txt"


def applying(texts, extras=("",)) -> Iterator[Requirement]:
    for text in texts:
        found = Requirement(text)
        marker = found.marker
        if marker is None or any(marker.evaluate({**LINUX, "extra": one}) for one in extras):
            yield found


def of_vllm() -> dict[str, SpecifierSet]:
    lines = PINS.read_text(encoding="utf-8").splitlines()
    texts = [line for line in lines if not line.startswith("#")]
    return {canonicalize_name(one.name): one.specifier for one in applying(texts)}


def of_lampbench() -> list[tuple[str, Requirement]]:
    """Our ranges, and those of all that we require as it is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["vllm"]]
    found = [("lampbench", one) for one in applying(texts)]
    seen, waiting = set(), [one for _, one in found]
    while waiting:
        package = waiting.pop()
        if package.name in seen or package.name == "vllm":
            continue
        seen.add(package.name)
        for one in applying(metadata.requires(package.name) or (), ("", *package.extras)):
            found.append((package.name, one))
            waiting.append(one)
    return found


def common(*ranges: SpecifierSet) -> Version | None:
    """A version in all ranges, out of those that they name."""
    named = {Version(re.sub(r"\.\*$", "", one.version)) for each in ranges for one in each}
    return next((one for one in sorted(named) if all(one in each for each in ranges)), None)


SHARED = [(owner, one) for owner, one in of_lampbench() if canonicalize_name(one.name) in of_vllm()]


def test_the_pins_that_matter_are_recorded() -> None:
    pins = of_vllm()
    assert str(pins["torch"]) == "==2.14.0"
    assert pins["transformers"] == SpecifierSet(">=5.16.1,<5.21.0")
    assert {"torch", "transformers", "numpy", "safetensors", "tokenizers"} <= {
        canonicalize_name(one.name) for owner, one in SHARED if owner == "lampbench"
    }


def test_the_extra_is_vllm_of_this_version() -> None:
    (vllm,) = [one for owner, one in of_lampbench() if one.name == "vllm"]
    assert Version("0.33.0") in vllm.specifier


@pytest.mark.parametrize(("owner", "ours"), SHARED, ids=[f"{a}: {b.name}" for a, b in SHARED])
def test_no_range_excludes_what_vllm_pins(owner: str, ours: Requirement) -> None:
    theirs = of_vllm()[canonicalize_name(ours.name)]
    if not theirs or not ours.specifier:
        return
    assert common(ours.specifier, theirs) is not None, f"{owner} wants {ours}, vLLM wants {theirs}"


def test_ranges_that_exclude_each_other_are_found() -> None:
    assert common(SpecifierSet("<2.14"), SpecifierSet("==2.14.0")) is None
    assert common(SpecifierSet(">=5.21"), SpecifierSet(">=5.16.1,<5.21")) is None
    assert common(SpecifierSet(">=5.6"), SpecifierSet(">=5.16.1,<5.21")) == Version("5.16.1")
