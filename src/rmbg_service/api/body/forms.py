"""The two kinds of forms: multipart/form-data and application/x-www-form-urlencoded."""

from urllib.parse import unquote_plus

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from rmbg_service.api.body.fields import MAX_FIELDS, MAX_TEXT, Fields, FormValue, Part
from rmbg_service.errors import MalformedRequest

_STEP_BYTES = 1 << 18
_MAX_CONTENT_TYPE = 1000


def multipart_fields(text: bytes, content_type: str) -> Fields:
    """The parts of a multipart body; `content_type` is the header, which names its boundary.

    Raises `MalformedRequest`.
    """
    boundary = ""
    if len(content_type) <= _MAX_CONTENT_TYPE:
        boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary:
        raise MalformedRequest("the multipart body cannot be read: Content-Type has no boundary")
    try:
        return _read_parts(text, boundary.encode("latin-1"))
    except (MultipartError, ValueError) as error:
        error.__traceback__ = None  # the parser keeps the error, whose frames would keep the body
        raise MalformedRequest(
            "the multipart body cannot be read: {reason}", reason=str(error)
        ) from None


def _read_parts(text: bytes, boundary: bytes) -> Fields:
    """The parts, names and values read as bytes whatever charset the client names."""
    fields: Fields = []
    chunks: list[bytes] = []
    segment: MultipartSegment | None = None
    view = memoryview(text)
    with PushMultipartParser(
        boundary, max_segment_count=MAX_FIELDS, header_charset="latin-1"
    ) as parser:
        for start in range(0, len(view), _STEP_BYTES):
            if parser.closed:
                break
            for event in parser.parse(bytes(view[start : start + _STEP_BYTES])):
                if isinstance(event, MultipartSegment):
                    segment, chunks = event, []
                elif event:
                    chunks.append(bytes(event))
                elif segment is not None:
                    name = segment.name.encode("latin-1").decode("utf-8", "replace")
                    fields.append((name, Part(b"".join(chunks), _has_file_name(segment))))
                    chunks = []
    return fields


def _has_file_name(segment: MultipartSegment) -> bool:
    """Whether a part has a file name, also one that is only spelled `filename*` (RFC 5987)."""
    disposition = segment.header("Content-Disposition", "")
    return segment.filename is not None or "filename*=" in disposition.lower()


def urlencoded_fields(text: bytes) -> Fields:
    """The fields of an urlencoded body; raises `MalformedRequest` if there are too many."""
    if text.count(b"&") >= MAX_FIELDS:
        raise MalformedRequest("a form has at most {most} fields", most=MAX_FIELDS)
    fields: Fields = []
    view = memoryview(text)
    start = 0
    while start <= len(text):
        end = text.find(b"&", start)
        end = len(text) if end < 0 else end
        name_end = min(end, start + MAX_TEXT)
        equals = text.find(b"=", start, name_end)
        name_end = name_end if equals < 0 else equals
        name = unquote_plus(bytes(view[start:name_end]).decode("latin-1"))
        fields.append((name, FormValue(view[min(name_end + 1, end) : end])))
        start = end + 1
    return fields
