"""The documentation site: pages, links and notebooks, as far as they need no further package."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.build_site import (
    FILES,
    ROOT,
    absent_pages,
    page_names,
    reference_pages,
    with_site_links,
)
from tests.shared.fake_runs import RecordingEngine

NAVIGATION = (ROOT / "mkdocs.yml").read_text("utf-8")
EXPECTED_LATER = {"docs/vllm.md", "docs/api-models.md", "docs/scale.md"}
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def test_every_page_of_docs_is_in_the_navigation() -> None:
    for path in sorted((ROOT / "docs").glob("*.md")):
        assert f": docs/{path.name}\n" in NAVIGATION, f"add docs/{path.name} to mkdocs.yml"


def test_the_navigation_names_pages_that_are_there() -> None:
    pages = {*page_names(), *reference_pages()}
    assert set(absent_pages(NAVIGATION, pages)) <= EXPECTED_LATER


def test_links_to_files_lead_to_github_and_links_to_pages_stay() -> None:
    text = "[a](../methods/cope.py) [b](guide.md#models) [c](https://x.org) `[d](nowhere)`\n"
    made = with_site_links(text, "docs/plugins.md", {"docs/guide.md"})
    assert made == text.replace("../methods/cope.py", f"{FILES}methods/cope.py")
    with pytest.raises(SystemExit, match="links to nowhere, which is not there"):
        with_site_links("[a](nowhere)", "docs/plugins.md", set())


def test_the_reference_shows_every_command_and_export() -> None:
    import lampbench.api
    import lampbench.plugin

    made = reference_pages()
    for name, package in (("python", lampbench.api), ("plugin", lampbench.plugin)):
        shown = re.findall(r"^::: [\w.]+\.(\w+)$", made[f"reference/{name}.md"], re.M)
        assert set(shown) == set(package.__all__)
    commands = made["reference/commands.md"]
    assert "## lampbench import predictions" in commands and "## lampbench verify" in commands


def cells(notebook: Path) -> list[str]:
    content = json.loads(notebook.read_text("utf-8"))
    return ["".join(c["source"]) for c in content["cells"] if c["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(
    notebook: Path,
    on_fake_engine: RecordingEngine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """On an engine that computes nothing; `make site` runs it in Jupyter on the embedded model."""
    monkeypatch.chdir(tmp_path)
    shared: dict[str, Any] = {"__name__": "notebook"}
    for cell in cells(notebook):
        plain = re.sub(r"^( *)%.*$", r"\1pass", cell, flags=re.M)
        exec(compile(plain, notebook.name, "exec"), shared)
    assert list((tmp_path / "results").rglob("manifest.json"))


def test_there_are_two_notebooks_without_output_that_open_in_colab() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first-study", "new-method"]
    for notebook in NOTEBOOKS:
        content = json.loads(notebook.read_text("utf-8"))
        code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
        install = "%pip install -q git+https://github.com/lampbench/lampbench"
        assert install in "".join(cells(notebook))
        named = NAVIGATION + "".join((ROOT / name).read_text("utf-8") for name in page_names())
        named += "".join(path.read_text("utf-8") for path in NOTEBOOKS)
        assert f"blob/main/docs/notebooks/{notebook.name}" in named


def test_ci_and_the_workflow_build_the_site() -> None:
    import yaml

    steps = (ROOT / ".ci/run").read_text("utf-8")
    assert "make site" in steps and "SKIPPED: the documentation site" in steps
    workflow = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text("utf-8"))
    assert {"run": "make site"} in workflow["jobs"]["build"]["steps"]
