import re
import subprocess
import sys

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.catalog import (
    BIREFNET,
    CATALOG,
    EMBEDDED,
    RMBG_2_0,
    check_licence,
    find,
    find_digest,
    unlisted,
)
from rmbg_service.models.spec import ModelSpec


@pytest.mark.parametrize("name", ["RMBG-2.0", "rmbg-2.0", "briaai/RMBG-2.0", "BRIAAI/rmbg-2.0"])
def test_a_row_is_found_by_name_or_hub_id(name: str) -> None:
    assert find(name) is RMBG_2_0


def test_an_unknown_name_is_not_found() -> None:
    assert find("someone/else") is None


def test_an_unlisted_model_is_named_after_its_folder_or_repository() -> None:
    assert unlisted("/models/mine/").name == "mine"
    assert unlisted("someone/finetuned").name == "finetuned"
    assert unlisted("/models/mine").licence == "unknown"


@pytest.mark.parametrize("spec", [spec for spec in CATALOG if spec.weights], ids=lambda s: s.name)
def test_a_model_is_known_by_the_digest_of_its_weights(spec: ModelSpec) -> None:
    assert spec.weights is not None
    for digest, length in ((spec.weights.sha256, 64), (spec.weights.md5, 32)):
        assert digest is None or re.fullmatch(f"[0-9a-f]{{{length}}}", digest)
    if spec.weights.sha256:
        assert find_digest(spec.weights.sha256) is spec
    if spec.weights.md5:
        assert find_digest("0" * 64, spec.weights.md5) is spec


def test_unknown_bytes_are_not_found() -> None:
    assert find_digest("0" * 64, "0" * 32) is None


def test_a_copy_elsewhere_keeps_its_licence() -> None:
    copy = find("1038lab/RMBG-2.0")
    assert copy is not None
    assert (copy.name, copy.licence, copy.patch_order) == ("RMBG-2.0", "CC-BY-NC-4.0", "wg_hg_c")
    with pytest.raises(ConfigurationError, match="RMBG_ACCEPT_LICENSE"):
        check_licence(copy, frozenset())


def test_only_the_order_of_rmbg_is_proven() -> None:
    assert [spec.name for spec in CATALOG if spec.patch_order_proven] == ["RMBG-2.0"]


@pytest.mark.parametrize("spec", [s for s in CATALOG if s.weights and s.weights.release])
def test_exports_of_birefnet_give_logits_and_the_others_mattes(spec: ModelSpec) -> None:
    logits = spec.name.startswith("birefnet-")
    assert spec.activation == ("sigmoid" if logits else "none")


def test_names_are_unique() -> None:
    assert len({spec.name.casefold() for spec in CATALOG}) == len(CATALOG)


def test_only_rmbg_is_non_commercial_and_gated() -> None:
    restricted = [spec.name for spec in CATALOG if spec.non_commercial]
    assert restricted == ["RMBG-2.0", "RMBG-2.0-onnx"]
    assert [spec.name for spec in CATALOG if spec.gated] == ["RMBG-2.0"]


def test_input_sizes_fit_the_network() -> None:
    for spec in CATALOG:
        if spec.runtime == "birefnet":
            assert all(side % 32 == 0 for side in spec.input_size), spec.name


def test_a_non_commercial_licence_must_be_accepted() -> None:
    with pytest.raises(ConfigurationError, match=r"RMBG_ACCEPT_LICENSE=cc-by-nc-4\.0"):
        check_licence(RMBG_2_0, frozenset({"mit"}))
    check_licence(RMBG_2_0, frozenset({"CC-BY-NC-4.0"}))
    for spec in (EMBEDDED, BIREFNET):
        check_licence(spec, frozenset())


def test_neither_catalogue_nor_hub_helpers_import_torch() -> None:
    code = (
        "import sys, rmbg_service.models.catalog, rmbg_service.models.hub\n"
        "assert not {'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
