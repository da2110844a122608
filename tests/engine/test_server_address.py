"""The address of a server: one rule for APIs and for vLLM."""

import pytest

from lampbench.engine.openai.api_options import ApiOptions
from lampbench.engine.server_address import server_address
from lampbench.engine.vllm.http_client import VllmClient
from lampbench.util.errors import LampbenchError


def api(text):
    return ApiOptions(address=text)


WAYS = {"--api-base": (api, "LAMPBENCH_API_KEY"), "--vllm-url": (VllmClient, "VLLM_API_KEY")}
"""What takes an address, by option."""


@pytest.mark.parametrize(
    ("given", "origin", "path"),
    [
        ("http://localhost:8000/v1/", "http://localhost:8000", "/v1"),
        ("https://API.OpenAI.com:443/v1", "https://api.openai.com", "/v1"),
        (" http://x.org:80 ", "http://x.org", ""),
        ("http://x.org:443", "http://x.org:443", ""),
        ("http://[::1]:8080/v1", "http://[::1]:8080", "/v1"),
    ],
)
def test_an_address_has_one_form(given, origin, path):
    found = server_address(given, "--api-base", "KEY")
    assert (found.origin, found.path, str(found)) == (origin, path, origin + path)
    assert api(given).address == origin + path
    assert VllmClient(given).url == origin


@pytest.mark.parametrize("option", WAYS)
@pytest.mark.parametrize(
    "given",
    ["", "localhost:8000", "x.org", "//x.org", "ftp://x.org", "http://", "http://x.org:99999",
     "http://h:port", "http://h:0", "http://a..b", "http://[::1", "http://a b", "http://a\tb",
     "http://h/\u00e4", "https://x.org/v1/chat/completions", "http://x.org/v1/models/",
     "http://x.org/v1?a=b", "http://x.org/#a"],
)  # fmt: skip
def test_other_addresses_are_refused_in_one_line(option, given):
    ask, _ = WAYS[option]
    with pytest.raises(LampbenchError, match=f"^{option}[: ]") as raised:
        ask(given)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("option", WAYS)
@pytest.mark.parametrize("given", ["https://me:hidden@x.org/v1", "http://me:hid[den@x", "me:hid@x"])
def test_a_password_in_the_address_is_refused_and_not_shown(option, given):
    ask, key = WAYS[option]
    with pytest.raises(LampbenchError, match=f"^{option}: .*{key}") as raised:
        ask(given)
    assert "hid" not in str(raised.value)
