"""Pictures to put on the page."""

from io import BytesIO

from PIL import Image, ImageDraw, ImageFilter


def still_life(size: tuple[int, int] = (1200, 900), kind: str = "JPEG") -> bytes:
    """A file with a red vase before a light wall, which the embedded model finds."""
    width, height = size
    picture = Image.linear_gradient("L").resize(size).point(lambda v: 205 + v // 8).convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, height * 0.78, width, height), fill=(170, 140, 110))
    draw.ellipse((width * 0.34, height * 0.32, width * 0.66, height * 0.86), fill=(186, 44, 40))
    draw.rectangle((width * 0.45, height * 0.18, width * 0.55, height * 0.4), fill=(186, 44, 40))
    draw.ellipse((width * 0.4, height * 0.42, width * 0.48, height * 0.6), fill=(222, 96, 86))
    buffer = BytesIO()
    picture.filter(ImageFilter.GaussianBlur(1.2)).save(buffer, kind)
    return buffer.getvalue()
