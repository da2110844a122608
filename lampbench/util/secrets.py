"""What names and texts show that a secret is in them."""

import re

_NAME = (
    r"(?<![a-z])(?<!(?:pad|eos|bos|unk)[-_])"  # a tokenizer's special tokens are no secrets
    r"(?:(?:api|access|private|secret)[-_]?key|token|password|passwd|secret|authorization|bearer)"
)
_KNOWN = (
    r"hf_[A-Za-z0-9]{20,}|sk-[\w-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|AKIA[A-Z0-9]{16}|AIza[\w-]{20,}|gsk_\w{20,}|xai-[\w-]{20,}|nvapi-[\w-]{20,}"
)
_ENDS_NAME = re.compile(rf"{_NAME}$", re.IGNORECASE)
_SECRET = re.compile(
    rf"\b(?:{_KNOWN})"
    rf"|(?i:{_NAME}[\\\"']*\s*[=:]\s*[\\\"']*[^\s\\\"'])"  # a setting, in JSON too
    rf"|(?i:--(?:[\w-]*-)?{_NAME}[\"']?\s+\S)"  # an option and its value
    r"|(?i:\bbearer\s+\S)"
)


def is_secret_name(name: str) -> bool:
    """Whether a setting of this name holds a secret: "api_key", "hf-token", not "max_tokens"."""
    return _ENDS_NAME.search(name) is not None


def has_secret(text: str) -> bool:
    """Whether a text has what looks like a secret, or gives a value to a name of one."""
    return _SECRET.search(text) is not None
