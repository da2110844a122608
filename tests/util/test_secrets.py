"""What looks like a secret, and what does not."""

import pytest

from lampbench.util.secrets import has_secret, is_secret_name

LONG = "A1b2C3d4E5f6G7h8I9j0K1l2"


@pytest.mark.parametrize(
    "text",
    [
        'run --engine-arg \'fields={"api_key":"SECRETabc123"}\'', "run --api-key X", "--hf-token X",
        '{\\"api_key\\": \\"X\\"}', "Authorization: Basic X", "Bearer X", "token=abc",
        "HF_TOKEN=abc", "x-api-key: X", "client_secret = X", "--password X",
        f"gsk_{LONG}", f"AIza{LONG}", f"github_pat_{LONG}", f"xai-{LONG}", f"nvapi-{LONG}",
        f"hf_{LONG}", f"sk-{LONG}",
    ],
)  # fmt: skip
def test_secrets_are_found(text):
    assert has_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=5", "--set decoding.max_new_tokens=64", "--max-total-tokens 500",
        "new_tokens: 3", "a token of the answer", "prompt_tokens", "tokenizers: 0.23",
        "key_variable=MY_API_KEY", "--key-variable MY_TOKEN", "pad_token=<pad>", "api_key=",
        "secret", "hf_of_a_test",
    ],
)  # fmt: skip
def test_what_is_no_secret_is_not_found(text):
    assert not has_secret(text)


def test_names_of_secrets():
    assert all(map(is_secret_name, ("api_key", "Authorization", "hf-token", "X-API-Key")))
    assert not any(map(is_secret_name, ("max_tokens", "stop_token_ids", "pad_token", "seed")))
