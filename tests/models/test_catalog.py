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
    licence_of,
    unlisted,
)


@pytest.mark.parametrize("name", ["RMBG-2.0", "rmbg-2.0", "briaai/RMBG-2.0", "BRIAAI/rmbg-2.0"])
def test_a_row_is_found_by_name_or_hub_id(name: str) -> None:
    assert find(name) is RMBG_2_0


def test_an_unknown_name_is_not_found() -> None:
    assert find("someone/else") is None


def test_an_unlisted_model_is_named_after_its_folder_or_repository() -> None:
    assert unlisted("/models/mine/").name == "mine"
    assert unlisted("someone/finetuned").name == "finetuned"
    assert unlisted("/models/mine").licence == "unknown"


@pytest.mark.parametrize(
    ("name", "licence"),
    [("RMBG-2.0", "CC-BY-NC-4.0"), ("u2net", "Apache-2.0"), ("BiRefNet", "MIT"), ("x", "unknown")],
)
def test_the_licence_of_a_name(name: str, licence: str) -> None:
    assert licence_of(name) == licence


def test_names_are_unique() -> None:
    assert len({spec.name.casefold() for spec in CATALOG}) == len(CATALOG)


def test_only_rmbg_is_non_commercial_and_gated() -> None:
    assert [spec.name for spec in CATALOG if spec.non_commercial] == ["RMBG-2.0"]
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
