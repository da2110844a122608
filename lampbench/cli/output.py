"""Pages that commands write."""

import secrets
from pathlib import Path


def replace(output: Path, page: bytes) -> None:
    """Write beside and rename, so that a killed process leaves the old page."""
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(page)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
