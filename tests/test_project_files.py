"""The files that every project has: they parse, agree with each other and with the code."""

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import lampbench

ROOT = Path(__file__).resolve().parent.parent
GITHUB = "https://github.com/lampbench/lampbench"
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
WRITING_JOBS = {
    ("release.yml", "publish"): {"id-token": "write"},
    ("site.yml", "deploy"): {"id-token": "write", "pages": "write"},
}
"""Jobs that may do more than read, by workflow and name: those that publish what others built."""
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md")


def parsed(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def names(folder: str) -> list[str]:
    return sorted(path.name for path in (ROOT / folder).iterdir())


def workflow_commands(name: str) -> list[str]:
    """The lines of all `run` steps of a workflow."""
    jobs = parsed(f".github/workflows/{name}")["jobs"].values()
    steps = [step for job in jobs for step in job["steps"]]
    return [line for step in steps for line in step.get("run", "").splitlines()]


def test_versions_agree() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest = re.findall(r"^## \[(.+?)\] - (?:unreleased|\d{4}-\d{2}-\d{2})$", changelog, re.M)
    assert newest[0] == lampbench.__version__
    assert all(f"\n[{version}]: {GITHUB}/" in changelog for version in newest)
    assert parsed("CITATION.cff")["version"] == lampbench.__version__
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "lampbench.util.version.VERSION"
    }


def test_every_extra_for_users_is_on_the_page_that_installs() -> None:
    page = (ROOT / "docs/install.md").read_text("utf-8")
    extras = PYPROJECT["project"]["optional-dependencies"].keys() - {"dev", "release"}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) == extras


def test_citation() -> None:
    citation = parsed("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "message", "authors"} <= citation.keys()
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PYPROJECT["project"]["authors"]
    ]
    assert citation["license"] == PYPROJECT["project"]["license"]


def test_every_folder_with_modules_is_a_package_of_the_wheel() -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "lampbench").rglob("*.py")}
    folders |= {Path("lampbench/methods"), Path("lampbench/tasks")}
    assert sorted(PYPROJECT["tool"]["setuptools"]["packages"]) == sorted(
        ".".join(folder.parts) for folder in folders
    )


def test_urls_are_those_of_the_project() -> None:
    urls = PYPROJECT["project"]["urls"].values()
    assert all(url == GITHUB or url.startswith(f"{GITHUB}/") for url in urls)
    for url in urls:
        _, _, path = url.partition("/main/")
        assert (ROOT / path).exists()


def test_ci_runs_what_make_check_runs() -> None:
    assert workflow_commands("ci.yml") == [".ci/run"]
    assert "check:\n\t.ci/run\n" in (ROOT / "Makefile").read_text("utf-8")
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_the_package_is_built_checked_and_installed_outside_the_checkout() -> None:
    for workflow in ("package.yml", "release.yml"):
        assert "python -m scripts.build_package" in workflow_commands(workflow)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "$(BIN)/python -m scripts.build_package" in makefile
    assert "$(BIN)/python -m scripts.release" in makefile


def test_dependencies_are_audited_and_their_licences_listed() -> None:
    """CI fails where nothing is known of vulnerabilities; a machine without a network says so."""
    required = "python -m scripts.audit_dependencies --required"
    assert required in workflow_commands("dependencies.yml")
    makefile, steps = (ROOT / "Makefile").read_text("utf-8"), (ROOT / ".ci/run").read_text("utf-8")
    assert "audit: env\n\t$(BIN)/python -m scripts.audit_dependencies\n" in makefile
    assert "make audit" in steps and "scripts.licences --check" in steps


@pytest.mark.parametrize("name", names(".github/workflows"))
def test_workflows_may_only_read(name: str) -> None:
    workflow = parsed(f".github/workflows/{name}")
    assert workflow["permissions"] == {"contents": "read"}
    for name_of_job, job in workflow["jobs"].items():
        assert job.get("permissions", {}) == WRITING_JOBS.get((name, name_of_job), {})
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())
    assert {"push", "pull_request"} <= workflow[True].keys()  # YAML 1.1 reads `on` as true


@pytest.mark.parametrize("name", sorted({*names(".github/ISSUE_TEMPLATE")} - {"config.yml"}))
def test_issue_templates(name: str) -> None:
    template = parsed(f".github/ISSUE_TEMPLATE/{name}")
    assert {"name", "description", "body"} <= template.keys()
    assert any(part.get("validations", {}).get("required") for part in template["body"])
    for part in template["body"]:
        assert part["type"] in ("input", "textarea", "checkboxes") and part["attributes"]["label"]


def test_there_is_a_template_for_a_method_a_number_and_a_bug() -> None:
    assert names(".github/ISSUE_TEMPLATE") == ["bug.yml", "config.yml", "method.yml",
                                               "wrong-number.yml"]  # fmt: skip


def test_pre_commit_uses_the_tools_of_the_environment() -> None:
    config = parsed(".pre-commit-config.yaml")
    (local,) = config["repos"]
    assert local["repo"] == "local"  # needs no network
    hooks = {hook["id"]: hook for hook in local["hooks"]}
    assert list(hooks) == ["ruff", "ruff-format", "mypy", "whitespace"]
    assert all(hook["language"] == "system" for hook in hooks.values())
    dev = " ".join(PYPROJECT["project"]["optional-dependencies"]["dev"])
    for name in ("ruff", "ruff-format", "mypy"):
        tool = hooks[name]["entry"].split()[0].removeprefix(".venv/bin/")
        assert re.search(rf"\b{tool}\b", dev)
    excluded = re.compile(config["exclude"])
    assert excluded.match("lampbench/bundled/data/CREDITS.tsv")
    assert not excluded.match("lampbench/data/options.py")


def test_editor_settings() -> None:
    text = (ROOT / ".editorconfig").read_text("utf-8")
    settings = configparser.ConfigParser()
    settings.read_string(f"[top]\n{text}")
    assert settings["top"]["root"] == "true"
    assert settings["*"]["max_line_length"] == str(PYPROJECT["tool"]["ruff"]["line-length"])
    assert settings["Makefile"]["indent_style"] == "tab"


@pytest.mark.parametrize("name", PAGES)
def test_links_and_paths_exist(name: str) -> None:
    """Every relative link, and every path in backticks that begins with a folder of the project."""
    text = (ROOT / name).read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    paths = re.findall(r"`((?:lampbench|tests|methods|tasks|results|docs|\.ci)/[\w./-]*)`", text)
    assert all((ROOT / link).exists() for link in links), links
    assert all((ROOT / path).exists() for path in paths), paths
