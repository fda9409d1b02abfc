"""Every exception this package raises on purpose. Knows no HTTP framework.

    RmbgError
    |- ConfigurationError         the service or the command cannot start as it is set up
    |  |- NoSpace                 (on the disk, for a model; models/download.py)
    |- ClientError                the request is at fault
    |  |- MalformedRequest        400
    |  |  |- InvalidOption              (also a ValueError: pydantic collects them)
    |  |- RemoveBgError           400  (of the remove.bg API only; api/removebg/errors.py)
    |  |- FetchRefused            400  (the URL; url_fetch.py)
    |  |- FetchFailed             400  (what is behind the URL; url_fetch.py)
    |  |- PathRefused                  (outside the folders of an agent; mcp/folders.py)
    |  |- Unauthorized            401
    |  |- NotFound                404
    |  |- UploadTimeout           408
    |  |- ImageTooLarge           413  (pixels that never fit)
    |  |  |- BodyTooLarge              (bytes)
    |  |- UnsupportedMediaType    415
    |  |- InvalidImage            422
    |  |  |- UnknownFormat             (not a format that can be decoded)
    |  |  |- EmptyImage                (no pixels)
    |  |  |- WrongShape                (a matte or strokes without the image's proportions)
    |  |- InvalidRegion           422  (reason: exceeds | empty)
    |  |- BeyondFormat            422  (a side that the output format cannot have)
    |  |- TooManyBytes            422  (the result cannot be as small as the caller asked for)
    |  |- NoMattingModel          422  (the service has none; models/predictor.py)
    |  |- NoSubject               422  (only if the caller asked to be told)
    |- Rejected                   the service cannot take it now; carries retry_after_s
    |  |- Overloaded              429  (reason: jobs | pixels | deadline | rate)
    |  |- NotReady                503
    |- DeadlineExceeded           504
    |  |- StuckThread                  (a thread did not come back; serving/thread_pool.py)
    |- InferenceError             500
    |- CodecCrashed               500  (its process has ended; serving/codec/process.py)
    |- OutOfMemory                503  (of the host)
    |- OutOfDeviceMemory          503
    |- DeviceFailure              503  (the device is lost; the service fails with it)
    |- VideoError                 a clip cannot be read or written
    |- ServiceError               a remote service's response about one image; client/errors.py
    |  |- ServiceUnavailable      it did not take the image, after several attempts
    |- RemoverFailed              nothing can remove the remaining backgrounds; batch/removers/
    |- Cancelled                  nobody waits for the result any more; never an answer
    |  |- Abandoned               the client of a job has left; serving/job.py
    |  |- ClientGone              the client of a request has left; api/exchange.py
    |  |- RunStopped              the user has stopped the batch; batch/removers/

`status` is the HTTP status each maps to; `type` is its stable, machine-readable name. `message` is
what to tell the caller, in English or another language. A raise gives its template and values:

    raise InvalidImage("the {format} file has no image", format="gif")
"""

from typing import ClassVar, Literal

from rmbg_service.messages import Message


class RmbgError(Exception):
    """Base of every deliberate error; `str(error)` can be shown to the caller."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, template: str | Message = "", /, **values: object) -> None:
        self.message: Message = (
            template if isinstance(template, Message) else Message(template, **values)
        )
        super().__init__(str(self.message))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled without a call of `__init__`, whose arguments differ from class to class."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class ConfigurationError(RmbgError):
    """The settings, the command line, the model file or the device do not allow a start."""

    type = "configuration-error"
    title = "Configuration error"


class ClientError(RmbgError):
    """The request itself is at fault; sending it again unchanged will fail again."""

    status = 400
    type = "client-error"
    title = "Bad request"


class MalformedRequest(ClientError):
    """The body, an option or the base64 text cannot be understood."""

    type = "malformed-request"
    title = "Malformed request"


class InvalidOption(MalformedRequest, ValueError):
    """The value of an option cannot be understood, or does not go with another option."""


class Unauthorized(ClientError):
    """API keys are required and the request has no valid one."""

    status = 401
    type = "unauthorized"
    title = "Unauthorized"


class NotFound(ClientError):
    """Nothing is served under this path."""

    status = 404
    type = "not-found"
    title = "Not Found"


class UploadTimeout(ClientError):
    """The body did not arrive in time."""

    status = 408
    type = "upload-timeout"
    title = "Upload timed out"


class ImageTooLarge(ClientError):
    """More bytes or pixels than this service ever accepts."""

    status = 413
    type = "image-too-large"
    title = "Image too large"


class BodyTooLarge(ImageTooLarge):
    """More bytes than this service reads."""

    title = "Body too large"


class UnsupportedMediaType(ClientError):
    """The request's Content-Type is not one of the accepted forms."""

    status = 415
    type = "unsupported-media-type"
    title = "Unsupported media type"


class InvalidImage(ClientError):
    """The bytes are not a readable image of an accepted format."""

    status = 422
    type = "invalid-image"
    title = "Invalid image"


class UnknownFormat(InvalidImage):
    """The file does not have an accepted format."""


class EmptyImage(InvalidImage):
    """The image has no pixels."""


class WrongShape(InvalidImage):
    """A matte or strokes do not have the proportions of their image."""


class InvalidRegion(ClientError):
    """The region of interest is empty or leaves the image."""

    status = 422
    type = "invalid-region"
    title = "Invalid region"

    def __init__(
        self, template: str, /, reason: Literal["exceeds", "empty"], **values: object
    ) -> None:
        super().__init__(template, **values)
        self.reason = reason


class BeyondFormat(ClientError):
    """The result has a side that its file format cannot have."""

    status = 422
    type = "beyond-format"
    title = "Beyond the format's limits"


class TooManyBytes(ClientError):
    """The result is larger than `max_bytes`, whatever its quality."""

    status = 422
    type = "too-many-bytes"
    title = "Too many bytes"


class NoSubject(ClientError):
    """No subject was found in the image."""

    status = 422
    type = "no-subject"
    title = "No subject"


class NoMattingModel(ClientError):
    """`detail=matting` was asked for, and no matting model is set up."""

    status = 422
    type = "no-matting-model"
    title = "No matting model"


class Rejected(RmbgError):
    """The service cannot take the request now; `retry_after_s` says when to try again."""

    status = 503

    def __init__(self, template: str, /, retry_after_s: int, **values: object) -> None:
        super().__init__(template, **values)
        self.retry_after_s = retry_after_s


RejectionReason = Literal["jobs", "pixels", "deadline", "rate"]


class Overloaded(Rejected):
    """A bound on the work in flight, or on what one client may ask for, is reached."""

    status = 429
    type = "overloaded"
    title = "Overloaded"

    def __init__(
        self, template: str, /, retry_after_s: int, reason: RejectionReason, **values: object
    ) -> None:
        super().__init__(template, retry_after_s, **values)
        self.reason = reason


class NotReady(Rejected):
    """The model is loading, or the service is draining or has failed."""

    type = "not-ready"
    title = "Not ready"


class DeadlineExceeded(RmbgError):
    """The job did not finish before its deadline."""

    status = 504
    type = "deadline-exceeded"
    title = "Deadline exceeded"


class InferenceError(RmbgError):
    """The model failed on this image."""

    type = "inference-error"
    title = "Inference failed"


class OutOfMemory(RmbgError):
    """The host has no memory left for this image."""

    status = 503
    type = "out-of-memory"
    title = "Out of memory"


class OutOfDeviceMemory(RmbgError):
    """The accelerator has no memory left for this prediction."""

    status = 503
    type = "out-of-device-memory"
    title = "Out of device memory"


class DeviceFailure(RmbgError):
    """The accelerator's context is dead; nothing more can run in this process."""

    status = 503
    type = "device-failure"
    title = "Device failure"


class VideoError(RmbgError):
    """The clip cannot be read or written."""

    type = "video-error"
    title = "Video error"


class Cancelled(RmbgError):
    """Work ends because nobody waits for its result any more; never an answer to anybody."""

    type = "cancelled"
    title = "Cancelled"
