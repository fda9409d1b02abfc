"""What there is to choose in a BiRefNet: its backbone. All else is the same in all of them."""

from typing import Any, NamedTuple

from transformers import PretrainedConfig


class SwinVariant(NamedTuple):
    """One size of the Swin Transformer v1 (Liu et al., ICCV 2021, section 3.3)."""

    dim: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the four feature maps, at strides 4, 8, 16 and 32."""
        return (self.dim, 2 * self.dim, 4 * self.dim, 8 * self.dim)


BACKBONES = {
    "swin_v1_t": SwinVariant(96, (2, 2, 6, 2), (3, 6, 12, 24), 7),
    "swin_v1_s": SwinVariant(96, (2, 2, 18, 2), (3, 6, 12, 24), 7),
    "swin_v1_b": SwinVariant(128, (2, 2, 18, 2), (4, 8, 16, 32), 12),
    "swin_v1_l": SwinVariant(192, (2, 2, 18, 2), (6, 12, 24, 48), 12),
}


class BiRefNetConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """The configuration that `BiRefNet.save_pretrained` writes.

    `patch_order` says how the decoder's input patches are laid into channels in the weights beside
    this file; a network in memory always has `c_hg_wg` (see `patch_order.py`).
    """

    model_type = "birefnet"

    def __init__(self, backbone: str = "swin_v1_l", **kwargs: Any) -> None:
        if backbone not in BACKBONES:
            raise ValueError(f"unknown backbone {backbone!r}; known: {', '.join(BACKBONES)}")
        self.backbone = backbone
        self.patch_order = kwargs.pop("patch_order", "c_hg_wg")
        super().__init__(**kwargs)

    @property
    def swin(self) -> SwinVariant:
        """The backbone's sizes."""
        return BACKBONES[self.backbone]
