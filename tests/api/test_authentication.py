import pytest

from rmbg_service.api.authentication import client_address


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(host: str, address: str) -> None:
    assert client_address({"client": (host, 5)}) == address


@pytest.mark.parametrize("scope", [{}, {"client": None}])
def test_a_unix_socket_has_no_address(scope: dict[str, None]) -> None:
    assert client_address(scope) == ""
