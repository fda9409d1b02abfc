"""What marketplaces ask of a product image, as values of `RemovalOptions`; one row each.

A rule changes without notice and may depend on the category of the product. `sources` are the
addresses that a row was read from, `read_on` is the day. The members named in `stated` are on a
page of the marketplace itself, those in `reported` on the pages of others; the rest is this
project's choice within their bounds.
"""

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

PresetName: TypeAlias = Literal[
    "amazon", "ebay", "etsy", "shopify", "google-shopping", "taobao", "tmall", "jd", "douyin",
    "xiaohongshu", "instagram", "id-photo-35x45",
]  # fmt: skip
"""The names of `PRESETS`."""

_READ_ON = "2026-11-26"
_TAOBAO = "https://www.biaojixia.com/specs/taobao"


class Preset(BaseModel):
    """The frame, background and file that one marketplace asks for."""

    model_config = ConfigDict(frozen=True)

    name: PresetName
    title: str = Field(description="What the image is for.")
    canvas: str = Field(description="Width and height of the result, in px.")
    min_side: int = Field(
        description="If the subject has too few pixels for `canvas`, the result gets smaller, down "
        "to this side in px."
    )
    scale: str = Field("85%", description="How much of the canvas the subject fills.")
    position: str = Field("center", description="Position of the subject on the canvas.")
    background: str = Field("white", description="The colour of the background.")
    format: Literal["jpeg"] = Field("jpeg", description="The file format.")
    max_bytes: int | None = Field(None, description="The largest file that is taken, in bytes.")
    stated: tuple[str, ...] = Field(
        (), description="Which of these values a page of the marketplace itself states."
    )
    reported: tuple[str, ...] = Field(
        (),
        description="Which of them the sources report that are not the marketplace's. The others "
        "are a choice within these bounds.",
    )
    sources: tuple[str, ...] = Field(description="Where the rules were read.")
    read_on: str = Field(_READ_ON, description="The day on which they were read.")

    @property
    def options(self) -> dict[str, Any]:
        """The values as options of a removal; explicit options take precedence."""
        return self.model_dump(
            include={"canvas", "min_side", "scale", "position", "background", "format", "max_bytes"}
        )


_ROWS = (
    Preset(
        name="amazon",
        title="Amazon, main image",
        canvas="2000x2000",
        min_side=1000,
        reported=("min_side", "scale", "background", "format"),
        sources=("https://mercatuslab.com/blog/amazon-product-image-requirements",),
    ),
    Preset(
        name="ebay",
        title="eBay, listing photo",
        canvas="1600x1600",
        min_side=500,
        max_bytes=12_000_000,
        stated=("min_side",),
        reported=("canvas", "format", "max_bytes"),
        sources=(
            "https://www.ebay.com/help/policies/listing-policies/picture-policy?id=4370",
            "https://plomz.com/guide/ebay-image-requirements-for-sellers-2026",
        ),
    ),
    Preset(
        name="etsy",
        title="Etsy, listing photo",
        canvas="2000x2000",
        min_side=635,
        max_bytes=10_000_000,
        reported=("canvas", "min_side", "format", "max_bytes"),
        sources=(
            "https://hauld.app/blog/etsy-listing-photo-checklist",
            "https://dev.to/herofab/check-product-photos-against-amazon-etsy-and-96-other-marketplace-image-rules-with-a-free-api-no-5982",
        ),
    ),
    Preset(
        name="shopify",
        title="Shopify, product image",
        canvas="2048x2048",
        min_side=800,
        max_bytes=20_000_000,
        reported=("canvas", "min_side", "format", "max_bytes"),
        sources=(
            "https://isopeel.com/guides/shopify-product-image-requirements",
            "https://www.dresma.com/blog/shopify-product-image-requirements-that-you-should-know",
        ),
    ),
    Preset(
        name="google-shopping",
        title="Google Shopping, image_link",
        canvas="1500x1500",
        min_side=500,
        max_bytes=16_000_000,
        stated=("canvas", "min_side", "format", "max_bytes"),
        sources=("https://support.google.com/merchants/answer/6324350",),
    ),
    Preset(
        name="taobao",
        title="Taobao (淘宝), white-background image",
        canvas="800x800",
        min_side=800,
        reported=("canvas", "min_side", "background", "format"),
        sources=(_TAOBAO,),
        read_on="2026-08-31",
    ),
    Preset(
        name="tmall",
        title="Tmall (天猫), white-background image",
        canvas="800x800",
        min_side=800,
        reported=("canvas", "min_side", "background", "format"),
        sources=(_TAOBAO,),
        read_on="2026-08-31",
    ),
    Preset(
        name="jd",
        title="JD (京东), first main image",
        canvas="800x800",
        min_side=800,
        reported=("canvas", "min_side", "background", "format"),
        sources=("https://57dt.com/article/36996.html",),
    ),
    Preset(
        name="douyin",
        title="Douyin (抖音电商), white-background image",
        canvas="800x800",
        min_side=800,
        max_bytes=3_000_000,
        stated=("canvas", "min_side", "background", "format", "max_bytes"),
        sources=("https://school.jinritemai.com/doudian/web/article/aHean96XQDdv",),
        read_on="2026-08-31",
    ),
    Preset(
        name="xiaohongshu",
        title="Xiaohongshu (小红书), main image",
        canvas="1200x1600",
        min_side=800,
        max_bytes=5_000_000,
        reported=("canvas", "min_side", "format", "max_bytes"),
        sources=("https://www.06925.com/xhspt/890267462.html",),
    ),
    Preset(
        name="instagram",
        title="Instagram, portrait post",
        canvas="1080x1350",
        min_side=320,
        max_bytes=8_000_000,
        reported=("canvas", "min_side", "format", "max_bytes"),
        sources=("https://www.ayrshare.com/docs/media-guidelines/instagram",),
    ),
    Preset(
        name="id-photo-35x45",
        title="ID photo of 35 x 45 mm at 300 dpi",
        canvas="413x531",
        min_side=413,
        scale="90%",
        position="50% 100%",
        reported=("canvas", "background"),
        sources=(
            "https://dev.to/pixtidy/schengen-visa-photos-are-35x45-mm-turning-millimetre-rules-into-browser-checks-1d74",
            "https://dev.to/passportsizephoto/document-photos-are-specified-in-millimetres-your-canvas-works-in-pixels-5ab7",
        ),
    ),
)

PRESETS: dict[str, Preset] = {row.name: row for row in _ROWS}
