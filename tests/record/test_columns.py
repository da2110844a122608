"""Tables as gzipped columns: what is written is read, and nothing larger is unpacked."""

import gzip
import tracemalloc
from typing import Any

import pytest

from lampbench.record import columns
from lampbench.record.columns import compress, decompress, from_text, to_text
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
    monkeypatch.setattr(columns, "LARGEST", 2**16)


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
    with pytest.raises(LampbenchError, match="65,537 bytes cannot be recorded"):
        compress(b"0" * (2**16 + 1))


@pytest.mark.parametrize("text", [b"[]", b'{"a": 1}', b'{"a": [1], "b": []}', b'{"a": [NaN]}'])
def test_what_is_no_table_is_refused(text):
    with pytest.raises(ValueError):
        from_text(text)
