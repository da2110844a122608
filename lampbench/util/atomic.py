"""Writing files atomically: they appear complete or not at all."""

import secrets
from pathlib import Path


def replace(output: Path, content: bytes) -> None:
    """Write a temporary file and rename it, so that a killed process leaves the old file intact.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
