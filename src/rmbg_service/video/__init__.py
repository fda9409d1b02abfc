"""Clips: decode, cut out every frame, steady the matte, encode."""

from rmbg_service.errors import RmbgError

VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts")
"""Suffixes that say: this is a clip and no picture."""


class VideoError(RmbgError):
    """The clip cannot be read or written."""

    type = "video-error"
    title = "Video error"
