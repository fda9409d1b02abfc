"""What a client raises."""

from rmbg_service.errors import RmbgError


class ServiceError(RmbgError):
    """The service refused the image, or what responded is not the service.

    `status_code` is that of the response, None if there was none; `problem` is the response's
    machine-readable `type`, such as `invalid-image`, empty if it has none; `request_id` is that of
    the call, for the service's log.
    """

    type = "service-error"
    title = "The service refused"

    def __init__(
        self,
        detail: str,
        *,
        status_code: int | None = None,
        problem: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(detail)
        self.status_code = status_code
        self.problem = problem
        self.request_id = request_id


class ServiceUnavailable(ServiceError):
    """The service did not take the image now; this says nothing about the image.

    `retry_after_s` is the service's own `Retry-After`, 0 if it gave none.
    """

    type = "service-unavailable"
    title = "The service is unavailable"

    def __init__(
        self,
        detail: str,
        *,
        status_code: int | None = None,
        problem: str = "",
        request_id: str = "",
        retry_after_s: int = 0,
    ) -> None:
        super().__init__(detail, status_code=status_code, problem=problem, request_id=request_id)
        self.retry_after_s = retry_after_s

    @property
    def busy(self) -> bool:
        """Whether the service is alive and said that it has too much to do."""
        return self.status_code == 429
