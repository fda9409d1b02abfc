"""What a route asks of a request before its body is read, declared where the route is.

A guard is a dependency of its route: `dependencies=guarded(Guard())`. The gate looks the guards up
in the routes themselves and checks a request before the route sees it. The dependency then only
confirms that the gate was there, so that a guarded route without a gate stays closed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.routing import Match
from starlette.types import Scope

from rmbg_service.settings import Endpoint, Settings

# For the OpenAPI document only: the gate has checked the key before a request comes this far.
_KEY_FORMS = [
    Depends(
        APIKeyHeader(
            name="X-API-Key", auto_error=False, description="Required if API keys are configured."
        )
    ),
    Depends(HTTPBearer(auto_error=False, description="The same key as a bearer token.")),
]


@dataclass(frozen=True, eq=False)
class Guard:
    """A route that needs an API key, if keys are set.

    A request for one that `runs_job` is also admitted to the engine first, unless its client would
    have to queue for longer than `wait_limit_s`; its body and its response are bounded and timed.
    One whose `key_optional` is answered without a key, too, but with less: see
    `RequestRecord.has_key`.
    """

    runs_job: bool = True
    wait_limit_s: float = float("inf")
    key_optional: bool = False

    async def __call__(self, request: Request) -> None:
        """Raise unless the gate has applied this guard to `request`."""
        if request.state.record.guard is not self:
            raise RuntimeError("the gate does not guard this route")


def guarded(guard: Guard) -> list[Any]:
    """The dependencies of a guarded route."""
    return [Depends(guard), *_KEY_FORMS]


def endpoint_guard(endpoint: Endpoint, settings: Settings) -> list[Any]:
    """The dependencies of a route that `RMBG_OPEN_ENDPOINTS` opens or closes."""
    if endpoint in settings.open_endpoints:
        return []
    return guarded(Guard(runs_job=False, key_optional=endpoint == "health"))


class GuardedRoutes:
    """The guarded routes of `routers`, matched as the router itself matches them."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._routes = [
            (route, dependency.dependency)
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute)
            for dependency in route.dependencies
            if isinstance(dependency.dependency, Guard)
        ]

    def find(self, scope: Scope) -> Guard | None:
        """The guard of the route that would answer this request, if it has one."""
        for route, guard in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                return guard
        return None
