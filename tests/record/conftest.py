"""What the tests of recorded runs share."""

import pytest

from lampbench.core.dataset import Dataset
from lampbench.data import DataOptions, load_dataset
from lampbench.registry import Registry


@pytest.fixture(scope="session")
def bundled_news() -> Dataset:
    """Two bundled users of news_headline."""
    return load_dataset(Registry().task("news_headline"), "bundled", DataOptions(users=2))
