"""Self-hosted background removal: a REST service, and the same from Python.

from rmbg_service import remove_background
remove_background("photo.jpg").save("cutout.png")
"""

from rmbg_service.imaging.cutout import Cutout
from rmbg_service.removal.remove import remove_background

__version__ = "0.1.0"
__all__ = ["Cutout", "__version__", "remove_background"]
