"""Call a running service from Python."""

from rmbg_service.client.client import AsyncClient, Client
from rmbg_service.client.errors import ServiceError, ServiceUnavailable
from rmbg_service.client.request import ImageFile, Options
from rmbg_service.client.response import Info, Limits, Model, Result
from rmbg_service.client.retries import Retries

__all__ = [
    "AsyncClient",
    "Client",
    "ImageFile",
    "Info",
    "Limits",
    "Model",
    "Options",
    "Result",
    "Retries",
    "ServiceError",
    "ServiceUnavailable",
]
