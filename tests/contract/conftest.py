from collections.abc import Iterator

import pytest

from lampbench.contract.check import check_plugin
from lampbench.contract.workshop import Workshop, workshop


@pytest.fixture(scope="session")
def shop() -> Iterator[Workshop]:
    """One tiny model and one other process for all tests."""
    with workshop() as made:
        yield made


@pytest.fixture
def checked(shop, tmp_path):
    """Check a plugin given as source; verdicts by check."""

    def check(source, kind="method", name="mine"):
        file = tmp_path / f"{name}.py"
        file.write_text(source)
        return {one.check: one for one in check_plugin(kind, name, shop, plugins=[str(file)])}

    return check
