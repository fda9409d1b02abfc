"""Numbers in headers, as clients and attackers write them."""

import pytest
from starlette.datastructures import Headers

from rmbg_service.api.request_headers import wait_limit_s


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
