"""Add what the package carries to a CycloneDX SBOM of what it depends on: `make sbom`.

Package managers do not know the embedded model and Swagger UI, which are files of the package.
"""

import argparse
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import rmbg_service
from rmbg_service.models.catalog import EMBEDDED
from rmbg_service.models.store import EMBEDDED_PATH

SWAGGER = Path(rmbg_service.__file__).parent / "web/static/swagger"
U2NET = "https://github.com/xuebinqin/U-2-Net"


def sha256(path: Path) -> dict[str, str]:
    """The digest of a file, as CycloneDX writes it."""
    return {"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}


def model() -> dict[str, Any]:
    """The embedded model."""
    height, width = EMBEDDED.input_size
    return {
        "type": "machine-learning-model",
        "bom-ref": EMBEDDED.name,
        "name": EMBEDDED.name,
        "description": f"Embedded weights of U^2-Net, as ONNX: {EMBEDDED_PATH.name}",
        "hashes": [sha256(EMBEDDED_PATH)],
        "licenses": [{"license": {"id": EMBEDDED.licence, "url": EMBEDDED.licence_url}}],
        "externalReferences": [{"type": "vcs", "url": U2NET}],
        "modelCard": {
            "modelParameters": {
                "task": "salient object detection",
                "architectureFamily": "convolutional neural network",
                "modelArchitecture": "U^2-Net (small)",
                "inputs": [{"format": f"RGB image, {width} x {height} px"}],
                "outputs": [{"format": "matte in [0, 1]"}],
            }
        },
    }


def swagger_ui() -> dict[str, Any]:
    """The page of the API's documentation, with its files."""
    provenance = (SWAGGER / "PROVENANCE.txt").read_text("utf-8")
    name, version = re.findall(r"^(\S+) ([\d.]+) from the npm registry", provenance)[0]
    files = [SWAGGER / "swagger-ui-bundle.js", SWAGGER / "swagger-ui.css"]
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": version,
        "purl": f"pkg:npm/{name}@{version}",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "components": [
            {"type": "file", "name": path.name, "hashes": [sha256(path)]} for path in files
        ],
    }


def add_embedded(sbom: dict[str, Any]) -> None:
    """Add both to the components and to what the package depends on."""
    package = sbom["metadata"]["component"]["bom-ref"]
    (needs,) = (each for each in sbom["dependencies"] if each["ref"] == package)
    for component in (model(), swagger_ui()):
        sbom["components"].append(component)
        sbom["dependencies"].append({"ref": component["bom-ref"]})
        needs.setdefault("dependsOn", []).append(component["bom-ref"])


def main() -> None:
    """Read the arguments, change the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sbom", type=Path, help="CycloneDX as JSON; is changed.")
    path: Path = parser.parse_args().sbom
    sbom = json.loads(path.read_text("utf-8"))
    add_embedded(sbom)
    path.write_text(json.dumps(sbom, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
