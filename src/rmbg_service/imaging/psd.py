"""The PSD writer: background, shadow and subject as layers, for Photoshop and what reads its files.

The structures are those of psd-tools; the format is Adobe's, see the "Adobe Photoshop File Formats
Specification" (November 2019).
"""

from collections.abc import Iterable
from io import BytesIO
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from psd_tools.constants import ChannelID, ColorMode, Compression, Resource
from psd_tools.psd import PSD
from psd_tools.psd.header import FileHeader
from psd_tools.psd.image_data import ImageData
from psd_tools.psd.image_resources import ImageResource, ImageResources
from psd_tools.psd.layer_and_mask import (
    ChannelData,
    ChannelDataList,
    ChannelImageData,
    ChannelInfo,
    LayerAndMaskInformation,
    LayerInfo,
    LayerRecord,
    LayerRecords,
    MaskData,
)

from rmbg_service.imaging import compose
from rmbg_service.imaging.cutout import Cutout, box_of
from rmbg_service.types import Box

Plane = NDArray[np.uint8]

_AROUND_PX = 16  # colours beyond the edge, for those who make a mask softer
_DEPTH = 8
_CODEC = Compression.RLE  # fast, and what every reader knows


class _Layer(NamedTuple):
    """A layer in one part of the file; each member of `planes` is `(h, w)` uint8 or one value."""

    record: LayerRecord
    channels: ChannelDataList


def write_psd(cutout: Cutout) -> bytes:
    """The cutout as a PSD with the layers Background, Shadow and Subject, without those it lacks.

    The subject has its alpha as a mask, and the merged image that other programs show is on
    white. Both sides are at most 30,000 px.
    """
    width, height = cutout.size
    layers = []
    if cutout.backdrop is not None:
        rgb, opacity = cutout.backdrop
        layers.append(_layer("Background", Box(0, 0, width, height), rgb, opacity=opacity))
    if cutout.shadow_alpha is not None:
        box = box_of(cutout.shadow_alpha, 1) or Box(0, 0, 1, 1)
        black = np.broadcast_to(np.uint8(0), cutout.rgb.shape)
        layers.append(_layer("Shadow", box, black, cutout.shadow_alpha))
    layers.append(_layer("Subject", _around_subject(cutout), cutout.rgb, mask=cutout.alpha))
    below = cutout.backdrop
    merged = cutout.with_shadow() if below is None else compose.over(cutout, below)
    return _file(merged, layers, cutout.icc)


def _around_subject(cutout: Cutout) -> Box:
    width, height = cutout.size
    box = box_of(cutout.alpha, 1) or Box(0, 0, 1, 1)
    return Box(
        max(0, box.left - _AROUND_PX),
        max(0, box.top - _AROUND_PX),
        min(width, box.right + _AROUND_PX),
        min(height, box.bottom + _AROUND_PX),
    )


def _layer(
    name: str,
    box: Box,
    rgb: Plane,
    alpha: Plane | None = None,
    *,
    mask: Plane | None = None,
    opacity: int = 255,
) -> _Layer:
    """The part of a layer inside `box`; `alpha` is that of its pixels, and `mask` hides them."""
    part = slice(box.top, box.bottom), slice(box.left, box.right)
    opaque = np.broadcast_to(np.uint8(255), (box.height, box.width))
    planes = {ChannelID.TRANSPARENCY_MASK: opaque if alpha is None else alpha[part]}
    planes |= {ChannelID(channel): rgb[part][..., channel] for channel in range(3)}
    record = LayerRecord(
        top=box.top, left=box.left, bottom=box.bottom, right=box.right, opacity=opacity, name=name
    )
    if mask is not None:
        planes[ChannelID.USER_LAYER_MASK] = mask[part]
        record.mask_data = MaskData(
            top=box.top, left=box.left, bottom=box.bottom, right=box.right, background_color=0
        )
    channels = ChannelDataList()
    for channel, plane in planes.items():
        data = ChannelData(_CODEC)
        data.set_data(plane.tobytes(), box.width, box.height, _DEPTH)
        record.channel_info.append(ChannelInfo(channel, len(data.data) + 2))
        channels.append(data)
    return _Layer(record, channels)


def _file(merged: Cutout, layers: Iterable[_Layer], icc: bytes | None) -> bytes:
    """The file of `layers`, the lowest one first, and of what they look like together."""
    width, height = merged.size
    transparent = merged.alpha.min() < 255
    on_white = compose.on_colour(merged, compose.WHITE) if transparent else merged
    planes = [cv2.extractChannel(on_white.rgb, channel).tobytes() for channel in range(3)]
    if transparent:
        planes.append(merged.alpha.tobytes())
    header = FileHeader(
        channels=len(planes), height=height, width=width, depth=_DEPTH, color_mode=ColorMode.RGB
    )
    image = ImageData(_CODEC)
    image.set_data(planes, header)
    records, channels = zip(*layers, strict=True)
    # A negative number says that the fourth channel is the transparency of the merged image.
    count = -len(records) if transparent else len(records)
    info = LayerInfo(count, LayerRecords(records), ChannelImageData(channels))
    resources = ImageResources.new()
    if icc is not None:
        resources[Resource.ICC_PROFILE] = ImageResource(key=Resource.ICC_PROFILE, data=icc)
    document = PSD(
        header=header,
        image_resources=resources,
        layer_and_mask_information=LayerAndMaskInformation(layer_info=info),
        image_data=image,
    )
    file = BytesIO()
    document.write(file)
    return file.getvalue()
