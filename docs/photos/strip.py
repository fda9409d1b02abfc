"""Cut out the photos that the README shows, into strip.webp in this folder.

    pip download --no-deps scikit-image==0.26.0
    .venv/bin/python docs/photos/strip.py scikit_image-0.26.0-*.whl

The photos come from that package, see THIRD_PARTY.md. The embedded model cuts them out with
`detail=best`.
"""

import sys
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image

from rmbg_service import remove_background
from rmbg_service.models.select import select_predictor
from rmbg_service.settings import Settings

PHOTOS = {  # and the part of each that is shown
    "astronaut": (60, 0, 510, 300),
    "coffee": (0, 0, 600, 400),
}
TILE, GAP, SQUARE_PX = (420, 280), 12, 10
LIGHT, DARK = 255, 226
QUALITY = 88


def main() -> None:
    """Write the strip: the photos above, their cutouts below."""
    embedded = select_predictor(Settings(model="u2netp"))
    embedded.load()
    width = len(PHOTOS) * (TILE[0] + GAP) - GAP
    strip = Image.new("RGBA", (width, 2 * TILE[1] + GAP))
    with ZipFile(sys.argv[1]) as package:
        for place, (name, part) in enumerate(PHOTOS.items()):
            data = BytesIO(package.read(f"skimage/data/{name}.png"))
            photo = Image.open(data).convert("RGB").crop(part)
            cutout = remove_background(photo, predictor=embedded, detail="best").to_pil()
            below = checkerboard()
            below.alpha_composite(cutout.resize(TILE, Image.Resampling.LANCZOS))
            left = place * (TILE[0] + GAP)
            strip.paste(photo.resize(TILE, Image.Resampling.LANCZOS), (left, 0))
            strip.paste(below, (left, TILE[1] + GAP))
    strip.save(Path(__file__).with_name("strip.webp"), quality=QUALITY, method=6)


def checkerboard() -> Image.Image:
    """What editors show below transparency."""
    y, x = np.indices(TILE[::-1]) // SQUARE_PX
    return Image.fromarray(np.where((x + y) % 2, DARK, LIGHT).astype(np.uint8)).convert("RGBA")


if __name__ == "__main__":
    main()
