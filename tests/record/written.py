"""A recorded run, and ways to damage its files."""

import gzip
import json
from hashlib import sha256

from lampbench.scoring import PredictionRow, ScoreTable
from lampbench.util.hashing import canonical
from tests.shared.recorded import record_rows

PREDICTIONS = [
    PredictionRow("../u", "1", "half \ud83d and line \u2028 end", "r"),
    PredictionRow("../u", "2", "", None),
]
SCORES = ScoreTable.from_rows(
    [
        {"user": "../u", "query": "1", "rouge1": 0.1 + 0.2, "reference_words": 1},
        {"user": "../u", "query": "2", "rouge1": None, "reference_words": None},
    ]
)


def write(root, **changes):
    return record_rows(root, PREDICTIONS, SCORES, model="org/Model", **changes)


def repack(file, change):
    """Change a gzipped file's content."""
    file.write_bytes(gzip.compress(change(gzip.decompress(file.read_bytes()))))


def rewrite(change):
    """Change a manifest as a faulty program would: its own digest fits what it then says."""

    def damage(path):
        file = path / "manifest.json"
        content = json.loads(file.read_text())
        del content["sha256"]
        change(content)
        content["sha256"] = sha256(canonical(content).encode()).hexdigest()
        file.write_text(json.dumps(content))

    return damage


def shared(path, kind):
    (file,) = path.parents[2].glob(f"*.{kind}.json.gz")
    return file
