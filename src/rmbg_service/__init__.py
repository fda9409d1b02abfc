"""Self-hosted background removal: a REST service, and the same from Python.

from rmbg_service import remove_background
remove_background("photo.jpg").save("cutout.png")
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Cutout", "__version__", "remove_background"]

if TYPE_CHECKING:
    from rmbg_service.imaging.cutout import Cutout
    from rmbg_service.removal.remove import remove_background
else:

    def __getattr__(name: str) -> object:
        """Import an export when it is asked for: a client needs neither OpenCV nor Pillow."""
        if name == "Cutout":
            from rmbg_service.imaging.cutout import Cutout

            return Cutout
        if name == "remove_background":
            from rmbg_service.removal.remove import remove_background

            return remove_background
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
