"""The models this service knows, by name and by the digest of their weights."""

from dataclasses import replace

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.spec import ModelSpec, Weights
from rmbg_service.settings import PatchOrder

_U2NET_LICENCE = "https://github.com/xuebinqin/U-2-Net/blob/master/LICENSE"
_BIREFNET_LICENCE = "https://github.com/ZhengPeng7/BiRefNet/blob/main/LICENSE"
_CC_BY_NC = "https://creativecommons.org/licenses/by-nc/4.0/"
_REMBG_RELEASE = "https://github.com/danielgatis/rembg/releases/download/v0.0.0/"

_FP16_BYTES = 444_473_596
"""Size of a Swin-L checkpoint in half precision; all have the same entries."""


def _birefnet(
    name: str,
    good_for: str,
    patch_order: PatchOrder | None = "c_hg_wg",
    input_size: tuple[int, int] = (1024, 1024),
    dynamic: bool = False,
    sha256: str | None = None,
    size_bytes: int | None = None,
    revision: str = "main",
) -> ModelSpec:
    hub = f"ZhengPeng7/{name}"
    return ModelSpec(
        name=name,
        runtime="birefnet",
        source=hub,
        licence="MIT",
        licence_url=_BIREFNET_LICENCE,
        input_size=input_size,
        activation="sigmoid",
        good_for=good_for,
        dynamic=dynamic,
        patch_order=patch_order,
        weights=Weights(sha256=sha256, size_bytes=size_bytes, hub=hub, revision=revision),
    )


def _rembg(
    name: str,
    filename: str,
    input_size: tuple[int, int],
    md5: str | None = None,
    sha256: str | None = None,
    licence: str = "MIT",
    licence_url: str = _BIREFNET_LICENCE,
    good_for: str = "",
) -> ModelSpec:
    """An ONNX file of rembg's release; the BiRefNet ones are the author's exports: logits."""
    return ModelSpec(
        name=name,
        runtime="onnx",
        source=_REMBG_RELEASE + filename,
        licence=licence,
        licence_url=licence_url,
        input_size=input_size,
        activation="sigmoid" if filename.startswith("BiRefNet") else "none",
        good_for=good_for,
        weights=Weights(path=filename, md5=md5, sha256=sha256, release=_REMBG_RELEASE + filename),
    )


EMBEDDED = ModelSpec(
    name="u2netp",
    runtime="onnx",
    source="embedded (xuebinqin/U-2-Net)",
    licence="Apache-2.0",
    licence_url=_U2NET_LICENCE,
    input_size=(320, 320),
    good_for="trying the service out, CPUs; coarse edges",
    bf16_measured=True,
)
EMBEDDED_SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"

_RMBG_2_0_WEIGHTS = Weights(
    sha256="566ed80c3d95f87ada6864d4cbe2290a1c5eb1c7bb0b123e984f60f76b02c3a7",
    size_bytes=884_878_856,
    hub="briaai/RMBG-2.0",
    revision="5df4c9c76d8170882c34f6986e848ee07fd0ba43",
    modelscope="AI-ModelScope/RMBG-2.0",
)
RMBG_2_0 = ModelSpec(
    name="RMBG-2.0",
    runtime="birefnet",
    source="briaai/RMBG-2.0",
    licence="CC-BY-NC-4.0",
    licence_url=_CC_BY_NC,
    input_size=(1024, 1024),
    activation="sigmoid",
    good_for="general images: people, products, animals, graphics",
    gated=True,
    patch_order="wg_hg_c",
    patch_order_proven=True,
    weights=_RMBG_2_0_WEIGHTS,
)

BIREFNET = _birefnet(
    "BiRefNet",
    "general images, commercial use",
    "wg_hg_c",
    sha256="9ab37426bf4de0567af6b5d21b16151357149139362e6e8992021b8ce356a154",
    size_bytes=_FP16_BYTES,
    revision="e2bf8e4460fc8fa32bba5ea4d94b3233d367b0e4",
)

VITMATTE = ModelSpec(
    name="vitmatte-small-composition-1k",
    runtime="vitmatte",
    source="hustvl/vitmatte-small-composition-1k",
    licence="Apache-2.0",
    licence_url="https://huggingface.co/hustvl/vitmatte-small-composition-1k",
    input_size=(512, 512),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    good_for="edges of another model's mattes: RMBG_MATTING_MODEL, not RMBG_MODEL",
    weights=Weights(
        sha256="bda9289db1bb6762d978b42d1c62ae3f34daf7497171a347a1d09657efd788cb",
        size_bytes=103_294_572,
        hub="hustvl/vitmatte-small-composition-1k",
        revision="6a58ad7646403c1df626fbd746900aec7361ea1d",
    ),
)

CATALOG: tuple[ModelSpec, ...] = (
    EMBEDDED,
    RMBG_2_0,
    BIREFNET,
    _birefnet(
        "BiRefNet_lite",
        "general images on a small GPU or a CPU",
        "wg_hg_c",
        sha256="4417d89795250e698c3cb0ae8df15743810065f646f48a694fdfa7ca052d0815",
        size_bytes=177_634_392,
        revision="aa62cd87eafb9cc43056d08ef3615a14628b831d",
    ),
    _birefnet(
        "BiRefNet_HR",
        "large images with fine structure",
        input_size=(2048, 2048),
        dynamic=True,
        sha256="9d678bafec0b0019fbb073b7fd02f05ede25dc4b15254f23b2fb0be333200c0d",
        size_bytes=_FP16_BYTES,
        revision="a7a562f6fd16021180f2f4348f4de003a2d3d1e1",
    ),
    _birefnet(
        "BiRefNet_HR-matting",
        "hair and fur in large images",
        input_size=(2048, 2048),
        dynamic=True,
        sha256="a5a4de698739ea5e0e8bbab28e1b293dde95092b87a442d566cbc585c53cef55",
        revision="5d6b6f8adcb5b417c871b1d84ceaae9871355b7f",
    ),
    _birefnet(
        "BiRefNet-matting",
        "hair, fur and other soft edges",
        "wg_hg_c",
        sha256="a9875de5b1e6c8eb5fdaa8c727a82927ce442cdc87ba3abee6a77e6fa46c25bb",
        revision="eccde0a8cbdce7ac5fecfeb06340fe7b949e85d9",
    ),
    _birefnet("BiRefNet-portrait", "people", "wg_hg_c"),
    _birefnet(
        "BiRefNet_dynamic",
        "images far from square; 256 to 2304 pixels",
        dynamic=True,
        sha256="e3d2e4884e51ff30f0cd630edc6b1e41b06b7f23a0a2a5169f7b7cb33a711c2d",
        revision="280306042f57b7a33854319da62fd86aaa89ec4c",
    ),
    _birefnet("BiRefNet_lite-2K", "wide images on a small GPU", "wg_hg_c", (1440, 2560)),
    _birefnet("BiRefNet_lite-matting", "soft edges on a small GPU or a CPU", None),
    _birefnet("BiRefNet_512x512", "small images, fast", None, (512, 512)),
    _birefnet("BiRefNet-DIS5K", "research: trained on DIS5K alone", None),
    _birefnet("BiRefNet-HRSOD", "research: salient objects", None),
    _birefnet("BiRefNet-COD", "research: camouflaged objects", None),
    _rembg(
        "u2net",
        "u2net.onnx",
        (320, 320),
        md5="60024c5c889badc19c04ad937298a77b",
        licence="Apache-2.0",
        licence_url=_U2NET_LICENCE,
        good_for="general images; coarse edges",
    ),
    replace(
        _rembg(
            "isnet-general-use",
            "isnet-general-use.onnx",
            (1024, 1024),
            md5="fc16ebd8b0c10d971d3513d564d01e29",
            licence="Apache-2.0",
            licence_url="https://github.com/xuebinqin/DIS/blob/main/LICENSE.md",
            good_for="general images, products",
        ),
        mean=(0.5, 0.5, 0.5),
        std=(1.0, 1.0, 1.0),
    ),
    _rembg(
        "birefnet-general",
        "BiRefNet-general-epoch_244.onnx",
        (1024, 1024),
        md5="7a35a0141cbbc80de11d9c9a28f52697",
        good_for="BiRefNet without PyTorch",
    ),
    _rembg(
        "birefnet-general-lite",
        "BiRefNet-general-bb_swin_v1_tiny-epoch_232.onnx",
        (1024, 1024),
        md5="4fab47adc4ff364be1713e97b7e66334",
        good_for="BiRefNet_lite without PyTorch",
    ),
    _rembg(
        "birefnet-portrait-onnx",
        "BiRefNet-portrait-epoch_150.onnx",
        (1024, 1024),
        md5="c3a64a6abf20250d090cd055f12a3b67",
        good_for="BiRefNet-portrait without PyTorch",
    ),
    _rembg(
        "RMBG-2.0-onnx",
        "bria-rmbg-2.0.onnx",
        (1024, 1024),
        sha256="5b486f08200f513f460da46dd701db5fbb47d79b4be4b708a19444bcd4e79958",
        licence="CC-BY-NC-4.0",
        licence_url=_CC_BY_NC,
        good_for="RMBG-2.0 without PyTorch",
    ),
    VITMATTE,
)

_RMBG_2_0_COPY = replace(
    RMBG_2_0,
    source="1038lab/RMBG-2.0",
    gated=False,
    weights=replace(
        _RMBG_2_0_WEIGHTS,
        hub="1038lab/RMBG-2.0",
        revision="1cd4787601caeb4c8e826dba7ea8e2163b5208df",
        modelscope=None,
    ),
)
"""The same bytes in another repository, found by its hub id only. A copy keeps its licence."""


def find(name: str) -> ModelSpec | None:
    """The model with this short name or hub id, in any case; None if there is none."""
    wanted = name.casefold()
    for spec in (*CATALOG, _RMBG_2_0_COPY):
        if wanted in (spec.name.casefold(), spec.source.casefold()):
            return spec
    return None


def find_digest(sha256: str, md5: str | None = None) -> ModelSpec | None:
    """The model whose weights have this digest; None if the catalogue does not know it."""
    if sha256 == EMBEDDED_SHA256:
        return EMBEDDED
    for spec in CATALOG:
        known = spec.weights
        if known and (known.sha256 == sha256 or (md5 is not None and known.md5 == md5)):
            return spec
    return None


def find_filename(filename: str) -> ModelSpec | None:
    """The model whose ONNX file is usually called this."""
    for spec in CATALOG:
        if spec.runtime == "onnx" and spec.weights and spec.weights.filename == filename:
            return spec
    return None


def unlisted(source: str) -> ModelSpec:
    """A BiRefNet that the catalogue does not know: a folder, a file or another repository."""
    name = source.rstrip("/").rpartition("/")[2] or source
    return ModelSpec(
        name=name.removesuffix(".safetensors"),
        runtime="birefnet",
        source=source,
        licence="unknown",
        licence_url="",
        input_size=(1024, 1024),
        activation="sigmoid",
        good_for="what it was trained for",
    )


def check_licence(spec: ModelSpec, accepted: frozenset[str]) -> None:
    """Refuse a non-commercial model whose licence is not among the `accepted` identifiers."""
    if spec.non_commercial and spec.licence.casefold() not in {
        name.casefold() for name in accepted
    }:
        raise ConfigurationError(
            f"{spec.name} is licensed under {spec.licence} (no commercial use, {spec.licence_url}):"
            f" set RMBG_ACCEPT_LICENSE={spec.licence.lower()} to accept that"
        )
