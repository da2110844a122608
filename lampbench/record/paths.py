"""Where a run is recorded: `results/<task>/<model>/<method>/<key>/`, each part escaped."""

import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote_to_bytes

_LONGEST = 120
_UNSAFE = re.compile(rb"[^A-Za-z0-9_.@+-]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


def escape(component: str) -> str:
    """Any text as one readable, safe component of a path; distinct texts stay distinct.

    ASCII letters, digits and `_.@+-` stay as they are, other bytes of the UTF-8 text become
    `%XX`, and so do a leading or trailing dot, a leading hyphen and the first letter of a device
    name of Windows. Text with capitals gets `~` and 8 hex digits of its SHA-256, so that it
    differs from its lower-case twin where file systems ignore case. All this is undone by
    `unescape`. Results longer than 120 characters are cut and end in `~~` and 32 hex digits.
    """
    raw = component.encode("utf-8", "surrogatepass")
    text = _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], raw).decode("ascii")
    if text.startswith((".", "-")) or _RESERVED.match(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if text.endswith("."):
        text = f"{text[:-1]}%2E"
    digest = sha256(raw).hexdigest()
    if component != component.lower():
        text = f"{text}~{digest[:8]}"
    if len(text) > _LONGEST:
        text = f"{text[:80]}~~{digest[:32]}"
    return text or "%"


def unescape(name: str) -> str:
    """The text that `escape` made `name` from.

    Raises:
        ValueError: `name` was cut for its length, or `escape` never gives it.
    """
    if "~~" in name:
        raise ValueError(f"{name!r} was too long and cannot be undone")
    text = "" if name == "%" else name.partition("~")[0]
    try:
        component = unquote_to_bytes(text).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name!r} is no escaped name") from error
    if escape(component) != name:
        raise ValueError(f"{name!r} is no escaped name")
    return component


def run_path(root: Path, task: str, model: str, method: str, key: str) -> Path:
    """The folder of a run, whether or not it is there."""
    return root.joinpath(*(escape(part) for part in (task, model, method, key)))
