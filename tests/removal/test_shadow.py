from typing import Any

import numpy as np
import pytest

from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.shadow import apply_shadow_options, own_shadow, report_without_subject
from rmbg_service.types import Alpha


def post() -> Alpha:
    alpha = np.zeros((100, 120), np.uint8)
    alpha[20:80, 50:60] = 255
    return alpha


def cutout(shadow: Shadow | None = None) -> Cutout:
    return Cutout(np.zeros((100, 120, 3), np.uint8), post(), shadow=shadow)


def options(**given: Any) -> RemovalOptions:
    return RemovalOptions.model_validate(given)


@pytest.mark.parametrize(("shadow", "kind"), [("keep", "keep"), ("auto", "keep"), ("drop", "drop")])
def test_an_empty_cutout_says_why_it_has_no_shadow(shadow: str, kind: str) -> None:
    report = report_without_subject(options(shadow=shadow))
    assert report is not None
    assert (report.kind, report.reason) == (kind, "no-subject")
    assert report_without_subject(options()) is None


def test_a_transparent_picture_has_no_shadow_of_its_own() -> None:
    rgb = np.full((100, 120, 3), 200, np.uint8)
    source = SourceImage(ImageInfo("png", 120, 100), rgb, post())
    found = own_shadow(source, post(), options(shadow="keep"))
    assert found is not None
    assert found.reason == "transparent-input"
    assert own_shadow(source, post(), options(shadow="drop")) is None


def test_auto_paints_a_shadow_if_none_is_found() -> None:
    missing = cutout(Shadow("keep", reason="no-floor"))
    painted = apply_shadow_options(missing, options(shadow="auto")).shadow
    assert painted is not None
    assert (painted.kind, painted.found) == ("drop", True)
    kept = apply_shadow_options(missing, options(shadow="keep")).shadow
    assert kept == missing.shadow


def test_the_opacity_scales_the_layer_and_its_box() -> None:
    full = apply_shadow_options(cutout(), options(shadow="drop")).shadow
    half = apply_shadow_options(cutout(), options(shadow="drop", shadow_opacity=0.5)).shadow
    assert full is not None
    assert half is not None
    assert full.alpha is not None
    assert half.alpha is not None
    assert np.abs(half.alpha - full.alpha / 2).max() <= 0.5
    faint = apply_shadow_options(cutout(), options(shadow="drop", shadow_opacity=0.01)).shadow
    assert faint == Shadow("drop", reason="too-faint")
