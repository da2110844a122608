"""Templates of the report's files, and what may run in them."""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@cache
def environment() -> Environment:
    """Jinja that escapes every text and refuses unknown names; `slug` makes permalinks."""
    made = Environment(
        loader=PackageLoader("lampbench.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["slug"] = slug
    return made


def slug(text: str) -> str:
    """A text as a part of a permalink; texts that differ in letters and digits stay distinct."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def inline(name: str) -> Markup:
    """A style sheet or script, to be put into a file as it is."""
    file = resources.files("lampbench.report.page").joinpath("templates", name)
    return Markup(file.read_text("utf-8"))


def policy_of(style: str, script: str) -> str:
    """A content security policy that allows this style and this script, and no request."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
