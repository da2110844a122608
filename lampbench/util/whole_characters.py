"""Texts that tokenizers take."""


def whole_characters(text: str) -> str:
    """The text with U+FFFD in the place of each half of a surrogate pair, which UTF-8 cannot hold.

    Only data that was made in Python may have such a half. Two that belong together become the
    character that they encode.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
