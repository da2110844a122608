"""Tables as gzipped columns: what is written is read, and nothing larger is unpacked."""

import gzip
import json
import tracemalloc
from hashlib import sha256
from io import BytesIO
from random import Random
from typing import Any

import pytest

from lampbench.record import columns, gzip_text
from lampbench.record.columns import TableText, column_values, from_text, to_text
from lampbench.record.gzip_text import (
    BLOCK,
    compress,
    decompress,
    text_blocks,
    write_compressed,
)
from lampbench.util.errors import LampbenchError

MEGABYTE = b"0" * 2**20


@pytest.mark.parametrize("text", [b"", b"a", b"[]\n" * 1000, MEGABYTE])
def test_what_is_compressed_is_decompressed(text):
    assert decompress(compress(text)) == text
    assert gzip.decompress(compress(text)) == text
    assert decompress(gzip.compress(text)) == text


def test_the_same_text_gives_the_same_bytes():
    assert compress(b"text") == compress(b"text")


def test_columns_keep_texts_that_utf_8_cannot_hold():
    table: dict[str, list[Any]] = {"user": ["a", "\ud83d"], "score": [1.5, None]}
    assert from_text(to_text(table)) == table


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(gzip_text, "LARGEST", 2**16)


def test_a_bomb_is_refused_by_its_own_account_of_its_length(small):
    bomb = gzip.compress(MEGABYTE * 16)
    with pytest.raises(ValueError, match=r"its text has 16,777,216 bytes, 65,536 at most"):
        decompress(bomb)


@pytest.mark.parametrize("claimed", [0, 1, 1000, 2**16])
def test_a_bomb_that_understates_its_length_is_unpacked_no_further(small, claimed):
    bomb = gzip.compress(MEGABYTE * 16)[:-4] + claimed.to_bytes(4, "little")
    tracemalloc.start()
    with pytest.raises(ValueError, match="not a gzip file"):
        decompress(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**19


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"not gzip at all", compress(b"text")[:-1], compress(b"text")[:-9],
     compress(b"text") + b"more", compress(b"one") + compress(b"two")],
)  # fmt: skip
def test_what_is_not_one_whole_file_is_refused(data):
    with pytest.raises(ValueError, match=r"not a gzip file|its text has"):
        decompress(data)


def test_any_flipped_bit_of_the_content_is_found():
    whole = compress(b"some text that is not too short")
    for bit in range(10 * 8, len(whole) * 8):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"gzip|bytes"):
            decompress(bytes(data))


def test_nothing_is_written_that_would_not_be_read(small):
    with pytest.raises(LampbenchError, match="65,537 bytes cannot be recorded, 65,536 at most"):
        compress(b"0" * (2**16 + 1))


@pytest.mark.parametrize("text", [b"[]", b'{"a": 1}', b'{"a": [1], "b": []}', b'{"a": [NaN]}'])
def test_what_is_no_table_is_refused(text):
    with pytest.raises(ValueError):
        from_text(text)


def test_a_table_in_parts_is_the_one_made_at_once(monkeypatch, tmp_path):
    """Against the plainest way to write it, over more than zlib's windows and blocks."""
    random = Random(0)
    words = ["".join(random.choices("abcdefgh", k=random.randrange(2, 9))) for _ in range(500)]
    table: dict[str, Any] = {
        "user": [f"user{n}" for n in range(9_000)],
        "text": [" ".join(random.choices(words, k=random.randrange(1, 30))) for _ in range(9_000)],
        "odd": [random.choice([None, True, "\ud83d", 1.5, {"a": ["é"]}]) for _ in range(9_000)],
        "noise": [random.randbytes(9).hex() for _ in range(9_000)],
    }
    plain = json.dumps(table, ensure_ascii=False, separators=(",", ":")) + "\n"
    whole = plain.encode("utf-8", "backslashreplace")
    packed = BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=packed, mtime=0) as stream:
        stream.write(whole)
    for rows, in_memory in ((1_000, 2**16), (7, 100), (10**6, 10**9)):
        monkeypatch.setattr(columns, "_ROWS", rows)
        monkeypatch.setattr(columns, "_IN_MEMORY", in_memory)
        text, file = TableText.of(table), BytesIO()
        assert b"".join(text.blocks()) == whole and text.sha256() == sha256(whole).hexdigest()
        write_compressed(text.blocks(), file)
        assert file.getvalue() == packed.getvalue() == compress(whole)
    assert b"".join(text_blocks(packed)) == whole == decompress(packed.getvalue())
    assert list(column_values(BytesIO(whole), "odd")) == table["odd"]
    assert len(whole) > 4 * BLOCK


def test_a_table_without_rows_or_columns():
    assert to_text({"user": [], "query": []}) == b'{"user":[],"query":[]}\n'
    assert to_text({}) == b"{}\n"


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"not gzip at all", compress(b"text")[:-1], compress(b"text")[:-9],
     compress(b"text") + b"more", compress(b"one") + compress(b"two"),
     gzip.compress(MEGABYTE)[:-4] + b"\x00\x00\x00\x01"],
)  # fmt: skip
def test_a_file_that_is_not_whole_is_refused_block_by_block(data):
    with pytest.raises(ValueError, match=r"not a gzip file|its text has"):
        list(text_blocks(BytesIO(data)))


def test_a_bomb_is_unpacked_no_further_than_it_says(small):
    bomb = BytesIO(gzip.compress(MEGABYTE * 16)[:-4] + (1000).to_bytes(4, "little"))
    tracemalloc.start()
    with pytest.raises(ValueError, match="not a gzip file"):
        list(text_blocks(bomb))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
