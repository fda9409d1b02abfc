"""Numbers in headers, as clients and attackers write them."""

import pytest
from starlette.datastructures import Headers

from rmbg_service.api.request_headers import content_length, wait_limit_s


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([], float("inf")),
        (["wait=20"], 20),
        (['respond-async, WAIT="7"; foo=1'], 7),
        (["handling=lenient", "wait=5"], 5),
        (["wait=3, wait=9"], 3),
        (["wait=soon"], float("inf")),
        (["wait=0"], float("inf")),
        (["wait=\xb2"], float("inf")),
        (["wait=" + "9" * 9999], 10**15),
    ],
)
def test_prefer_wait_is_read_as_rfc_7240_says(values: list[str], seconds: float) -> None:
    headers = Headers(raw=[(b"prefer", value.encode("latin-1")) for value in values])
    assert wait_limit_s(headers) == seconds


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        ([], None),
        (["0"], 0),
        (["12"], 12),
        (["-1"], None),
        (["1_0"], None),
        (["0x10"], None),
        (["\xb2"], None),
        (["1e3"], None),
        (["9" * 9999], 10**15),
    ],
)
def test_a_length_is_a_number_or_none(lines: list[str], length: int | None) -> None:
    headers = Headers(raw=[(b"content-length", line.encode("latin-1")) for line in lines])
    assert content_length(headers) == length


def test_only_the_first_hundred_preferences_are_read() -> None:
    for count, seconds in ((99, 5), (100, float("inf"))):
        headers = Headers(raw=[(b"prefer", b"a," * count + b"wait=5")])
        assert wait_limit_s(headers) == seconds
