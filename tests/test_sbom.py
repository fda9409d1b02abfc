"""What the package carries itself is in the list of what it brings."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rmbg_service.models.catalog import EMBEDDED, EMBEDDED_SHA256

ROOT = Path(__file__).parents[1]


@pytest.fixture
def sbom(tmp_path: Path) -> dict[str, Any]:
    """One of a single dependency, after the script has added to it."""
    path = tmp_path / "sbom.cdx.json"
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {"component": {"bom-ref": "root-component", "type": "application"}},
        "components": [{"bom-ref": "httpx", "type": "library", "name": "httpx"}],
        "dependencies": [{"ref": "root-component", "dependsOn": ["httpx"]}, {"ref": "httpx"}],
    }
    path.write_text(json.dumps(made))
    subprocess.run([sys.executable, ROOT / "scripts/sbom.py", path], check=True)
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def test_the_embedded_model_is_a_component(sbom: dict[str, Any]) -> None:
    (model,) = (each for each in sbom["components"] if each["type"] == "machine-learning-model")
    assert model["name"] == EMBEDDED.name
    assert model["hashes"] == [{"alg": "SHA-256", "content": EMBEDDED_SHA256}]
    assert model["licenses"][0]["license"]["id"] == EMBEDDED.licence


def test_swagger_ui_is_a_component_with_the_version_of_its_files(sbom: dict[str, Any]) -> None:
    (page,) = (each for each in sbom["components"] if each["name"] == "swagger-ui-dist")
    licences = (ROOT / "THIRD_PARTY.md").read_text("utf-8")
    assert f"(https://github.com/swagger-api/swagger-ui) {page['version']}," in licences
    assert page["purl"] == f"pkg:npm/swagger-ui-dist@{page['version']}"


def test_the_package_depends_on_all_of_them(sbom: dict[str, Any]) -> None:
    graph = {each["ref"]: each.get("dependsOn", []) for each in sbom["dependencies"]}
    assert graph["root-component"] == ["httpx", "u2netp", "swagger-ui-dist"]
    assert graph.keys() == {"root-component", *graph["root-component"]}
