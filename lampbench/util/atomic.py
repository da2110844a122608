"""Files that appear whole or not at all."""

import secrets
from pathlib import Path


def replace(output: Path, content: bytes) -> None:
    """Write beside and rename, so that a killed process leaves what was there.

    Raises:
        OSError: the disk refuses.
    """
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
