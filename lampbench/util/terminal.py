"""Text of others on a terminal: control characters are shown, not obeyed.

User ids, titles and model outputs are data. A terminal obeys escape sequences in them: it may
move the cursor, change the window's title or hide lines.
"""

import re
from typing import Any, TextIO

# What this program itself sends: colours, and the rewriting of a progress line.
_OURS = r"\x1b\[[0-9;]*m|\r\x1b\[K"
# C0 and C1 controls but tab and newline; marks that reorder, hide or break lines.
_UNSAFE = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)
_FOUND = re.compile(f"({_OURS})|{_UNSAFE}")


def visible(text: str) -> str:
    r"""The text with control characters as `\uXXXX`, which JSON reads as the same character."""
    return _FOUND.sub(lambda found: found[1] or f"\\u{ord(found[0]):04x}", text)


class SafeStream:
    """A text stream that writes only visible characters to another one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`, its control characters made visible."""
        self._stream.write(visible(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write every line as `write` does."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
