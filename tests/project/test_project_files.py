"""The files that programs around the code read: workflows, hooks, forms, the citation."""

from __future__ import annotations

import re
import runpy
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from nnx.cli import app

yaml = pytest.importorskip("yaml", reason="reading YAML files needs PyYAML")

ROOT = Path(__file__).parents[2]
WORKFLOWS, FORMS = ROOT / ".github" / "workflows", ROOT / ".github" / "ISSUE_TEMPLATE"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

pytestmark = pytest.mark.skipif(not WORKFLOWS.is_dir(), reason="these files are part of the repository alone")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps_of(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run") or step["uses"] for step in job["steps"])


def test_every_supported_python_is_tested() -> None:
    tested = read(WORKFLOWS / "ci.yml")["jobs"]["run"]["strategy"]["matrix"]["python"]
    classified = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if ":: Python ::" in text]
    assert tested == classified == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == ">=3.11,<3.14"


def test_workflows_run_what_a_change_must_pass() -> None:
    assert steps_of(read(WORKFLOWS / "ci.yml")["jobs"]["run"]).endswith("\n.ci/run")
    build = steps_of(read(WORKFLOWS / "release.yml")["jobs"]["build"])
    parts = ["check_release.py", ".ci/run", "python -m build", "twine check --strict", "upload-artifact"]
    assert sorted(parts, key=build.index) == parts
    assert all((ROOT / ".ci" / name).is_file() for name in ("run", "check_release.py"))


def test_only_the_job_that_publishes_may_prove_who_it_is() -> None:
    release = read(WORKFLOWS / "release.yml")
    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads the key `on` as true
    assert release["permissions"] == read(WORKFLOWS / "ci.yml")["permissions"] == {"contents": "read"}
    assert "permissions" not in release["jobs"]["build"]
    publish = release["jobs"]["publish"]
    assert (publish["needs"], publish["permissions"]) == ("build", {"id-token": "write"})
    assert "secrets." not in (WORKFLOWS / "release.yml").read_text(encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with what a release is checked by, as it would be for version 0.1.0."""
    (tmp_path / "nnx").mkdir()
    for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md", "nnx/version.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    changes = (tmp_path / "CHANGELOG.md").read_text(encoding="utf-8")
    released = changes.replace("## Unreleased", f"## {PROJECT['version']}, 2030-01-01", 1)
    (tmp_path / "CHANGELOG.md").write_text(released, encoding="utf-8")
    return tmp_path


def test_a_tag_is_released_only_if_every_file_names_its_version(copy: Path) -> None:
    mistakes, version = runpy.run_path(str(ROOT / ".ci" / "check_release.py"))["mistakes"], PROJECT["version"]
    assert mistakes(f"v{version}", copy) == []
    assert mistakes("v9.9.9", copy) == [f"the tag must say {version}, as pyproject.toml does, got 9.9.9."]
    for name in ("CITATION.cff", "nnx/version.py", "CHANGELOG.md"):
        former = (copy / name).read_text(encoding="utf-8")
        (copy / name).write_text(former.replace(version, "9.9.9"), encoding="utf-8")
        (mistake,) = mistakes(f"v{version}", copy)
        assert name in mistake
        (copy / name).write_text(former, encoding="utf-8")


def test_the_citation_names_the_version_and_the_licence_of_the_package() -> None:
    cited = read(ROOT / "CITATION.cff")
    assert (cited["version"], cited["license"]) == (PROJECT["version"], PROJECT["license"])
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["authors"] == [{"name": "the nnx developers"}]


def test_hooks_run_the_tools_of_the_project_and_fetch_nothing() -> None:
    repositories = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = repositories[0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert [hook["id"] for hook in hooks] == ["ruff", "ruff-format", "mypy", "lint-imports"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert all(hook["entry"].removesuffix(" --force-exclude") in script for hook in hooks)


@pytest.mark.parametrize("name", ["bug.yml", "disagreement.yml", "feature.yml"])
def test_forms_have_what_makes_them_forms(name: str) -> None:
    form = read(FORMS / name)
    assert {"name", "description", "body"} <= set(form)
    names = [field["id"] for field in form["body"]]
    assert len(set(names)) == len(names)
    assert {field["type"] for field in form["body"]} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert all(field["attributes"]["label"] for field in form["body"])
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_forms_ask_for_commands_that_exist() -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted(FORMS.glob("*.yml"))]
    texts.append((ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md").read_text(encoding="utf-8"))
    lines = [line.split() for text in texts for line in re.findall(r"`(nnx [^`]+)`", text)]
    nnx = typer.main.get_command(app)
    for line in lines:
        command = nnx.commands[line[1]] if not line[1].startswith("--") else nnx
        known = {option for param in (*command.params, *nnx.params) for option in param.opts}
        assert {word for word in line if word.startswith("--")} <= known, line
    asked = {" ".join(line[:3]) for line in lines}
    assert {"nnx backends --json", "nnx diff model.h5", "nnx check ENGINE"} <= asked
