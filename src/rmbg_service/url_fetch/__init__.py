"""Fetch images by URL, from public addresses only."""

from rmbg_service.url_fetch.fetcher import Fetcher, FetchFailed, FetchRefused

__all__ = ["FetchFailed", "FetchRefused", "Fetcher"]
