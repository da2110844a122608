"""Whatever the files of a run contain, under the right hashes: sound values or one clear line."""

import copy
import gzip
import json
import math
from contextlib import contextmanager, suppress
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lampbench import api
from lampbench.cli.main import main
from lampbench.record.runs import load_runs
from lampbench.scoring import PredictionRow, ScoreTable
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import canonical
from tests.shared.recorded import record_rows

LONGEST = 1200  # characters of a message, whose paths may take several hundred
ROWS = [PredictionRow(user, "1", f"answer of {user}", "the reference") for user in ("u", "v")]
SCORES = ScoreTable.from_rows(
    [{"user": row.user, "query": "1", "rouge1": 0.5, "reference_words": 2} for row in ROWS]
)

numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([10**400, -(2**63), 2**63, 1e308, True, float("nan"), float("inf")])
)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=8)
scalars |= st.sampled_from(["x" * 5000, "../../etc/passwd", "/dev/zero", "\0", "\ud83d", "u", "1"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                         max_size=3), max_leaves=6,
)  # fmt: skip
broken = st.sampled_from([
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"user": NaN}', b"[" * 100_000,
    b'{"user": ' * 60 + b"1" + b"}" * 60, b'{"rouge1": [' + b"9" * 4301 + b"]}",
    b'{"user": ["u"], "query": ["1"], "rouge1": [1e999]}', b'{"user": ["u"], "user": []}',
])  # fmt: skip
columns = st.dictionaries(
    st.sampled_from(["user", "query", "prediction", "rouge1", "reference_words", "tokens",
                     "rewards", "quoted", "fields", "reference", "record", "beginning", "new"]),
    values | st.lists(values, min_size=2, max_size=2), max_size=5,
)  # fmt: skip
SETTINGS = settings(
    derandomize=True,  # a new finding must not stop an unrelated change; search with another seed
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return record_rows(
        tmp_path_factory.mktemp("runs") / "results", ROWS, SCORES,
        fields={"text": "new article"}, history={"r": "past"},
        hyperparameters={"decoding.alpha": {"value": 0.3}}, overrides={"decoding.alpha": 0.3},
        stages=[{"stage": "predict"}],
    )  # fmt: skip


@contextmanager
def unchanged(run):
    """Afterwards the run's files are what they were."""
    folder = run.path.parents[2]
    contents = {file: file.read_bytes() for file in folder.rglob("*.*") if file.is_file()}
    try:
        yield
    finally:
        for file in folder.rglob("*.*"):
            if file.is_file() and file not in contents:
                file.unlink()
        for file, content in contents.items():
            file.write_bytes(content)


def look(run):
    """Read everything; every value must be sound, every refusal one line."""
    runs, problems = load_runs(run.path.parents[3])
    for problem in problems:
        check_message(str(problem), run)
    for found in runs:
        for part in ("predictions", "scores", "queries", "histories"):
            try:
                value = getattr(found, part)
            except LampbenchError as error:
                check_message(str(error), run)
            else:
                check_value(part, value)


def check_message(text, run):
    assert text.startswith(str(run.path)), text
    assert "\n" not in text and len(text) <= LONGEST, text
    assert "restore it, or delete it" in text or "move it back" in text, text


def check_value(part, value):
    if part == "scores":
        for name in value.columns:
            for score in value.columns[name]:
                assert score is None or math.isfinite(score)
        assert all(isinstance(name, str) for name in (*value.users, *value.queries))
    elif part == "predictions":
        for row in value:
            assert isinstance(row.prediction, str) and isinstance(row.user, str)
            assert all(math.isfinite(reward) for reward in row.rewards)
            assert row.new_tokens is None or abs(row.new_tokens) < 2**63
    elif part == "queries":
        for query in value.values():
            assert all(isinstance(text, str) for text in query.fields.values())
            assert query.reference is None or isinstance(query.reference, str)
    else:
        for user, records in value.items():
            assert isinstance(user, str)
            assert all(isinstance(text, str) for text in records.values())


def publish(run, change):
    """Write the manifest with a change, as a faulty program would: its own digest fits."""
    file = run.path / "manifest.json"
    content = json.loads(file.read_text())
    del content["sha256"]
    change(content)
    content["sha256"] = sha256(canonical(content).encode()).hexdigest()
    file.write_text(json.dumps(content))


def publish_file(run, name, content):
    """Put content in the place of one of a run's files, under the right hash."""
    packed = gzip.compress(content)
    if name in ("predictions.json.gz", "scores.json.gz"):
        (run.path / name).write_bytes(packed)
        publish(run, lambda found: found["files"].update({name: sha256(packed).hexdigest()}))
        return
    digest = sha256(content).hexdigest()
    file = {"name": f"{digest[:16]}.{name}.json.gz", "sha256": digest}
    (run.path.parents[2] / file["name"]).write_bytes(packed)
    publish(run, lambda found: found["dataset"].update({f"{name}_file": file}))


NAMES = ["predictions.json.gz", "scores.json.gz", "queries", "histories"]


def text_of(value):
    return json.dumps(value).encode()


@SETTINGS
@given(name=st.sampled_from(NAMES), content=columns.map(text_of) | values.map(text_of) | broken)
def test_any_content_of_a_file(run, name, content):
    with unchanged(run):
        publish_file(run, name, content)
        look(run)


def test_a_message_is_one_line_whatever_the_names_are(run):
    """Found by the test below."""
    content = {"user": ["u"], "query": ["1"], "fields": [{"\n\u2028": None}], "reference": ["r"]}
    with unchanged(run):
        publish_file(run, "queries", text_of(content))
        look(run)


@pytest.mark.parametrize("name", NAMES)
@SETTINGS
@given(data=st.data())
def test_one_changed_value_in_a_file(run, name, data):
    """Nearly right, so that checks further inside are reached."""
    file = run.path / name
    if name in ("queries", "histories"):
        (file,) = run.path.parents[2].glob(f"*.{name}.json.gz")
    content = json.loads(gzip.decompress(file.read_bytes()))
    column = data.draw(st.sampled_from(sorted(content)))
    if data.draw(st.booleans()):
        content[column][data.draw(st.integers(0, len(content[column]) - 1))] = data.draw(values)
    else:
        content[column] = data.draw(values)
    with unchanged(run):
        publish_file(run, name, text_of(content))
        look(run)


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for name in sorted(value):
            yield from places(value[name], (*path, name))
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            yield from places(inside, (*path, index))


@settings(SETTINGS, max_examples=400)
@given(data=st.data(), value=values, remove=st.booleans())
def test_any_value_anywhere_in_a_manifest(run, data, value, remove):
    def change(content):
        *way, last = data.draw(st.sampled_from([p for p in places(content) if p]))
        for step in way:
            content = content[step]
        if remove:
            del content[last]
        else:
            content[last] = copy.deepcopy(value)

    with unchanged(run), suppress(UnicodeEncodeError):
        publish(run, change)
        look(run)


@SETTINGS
@given(content=broken | st.binary(max_size=60) | values.map(text_of))
def test_any_bytes_for_a_manifest(run, content):
    with unchanged(run):
        (run.path / "manifest.json").write_bytes(content)
        look(run)


@SETTINGS
@given(data=st.data(), name=st.sampled_from(["manifest.json", *NAMES[:2]]))
def test_a_flipped_bit_is_noticed(run, data, name):
    file = run.path / name
    changed = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, 8 * len(changed) - 1))
    changed[place // 8] ^= 1 << place % 8
    with unchanged(run):
        file.write_bytes(changed)
        runs, problems = load_runs(run.path.parents[3])
    if runs:  # white space between the values of a manifest carries nothing
        assert name == "manifest.json" and runs[0].manifest == run.manifest
    for problem in problems:
        check_message(str(problem), run)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_leaves_the_other_runs_alone(tmp_path, monkeypatch, capsys):
    results = tmp_path / "results"
    bad = record_rows(results, ROWS, SCORES)
    other = record_rows(results, ROWS, SCORES, key="k2", method="tam")
    content = b'{"user": ["u", "v"], "query": ["1", "1"], "rouge1": ["high", 1]}'
    publish_file(bad, "scores.json.gz", content)
    monkeypatch.chdir(tmp_path)
    for command in (["leaderboard"], ["table", "main"], ["report"], ["list", "runs"]):
        with pytest.raises(SystemExit) as left:
            main(command)
        assert left.value.code == 0
    err = capsys.readouterr().err
    assert err.count("'rouge1' must be a number or null, one is 'high'") == 3
    assert len(api.table("scores", results=results)) > 0
    (bad.path / "predictions.json.gz").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"predictions\.json\.gz was changed") as warned:
        found = api.runs(results)
    assert [run.manifest for run in found] == [other.manifest]
    assert len(warned) == len(found.problems) == 1
