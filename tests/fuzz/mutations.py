"""Change sound files at random: their bytes, their JSON values, or the files themselves."""

import gzip
import json
import os
from pathlib import Path
from random import Random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**18, 10**400, -(2**63), 1e308, float("nan"), float("inf"),
    float("-inf"), "", " ", "x" * 5000, "\u202e" * 700, "a\nb\u2028c", "\0", "\ud83d", "\x1b[2J",
    "=1+1", "../../etc/passwd", "1", [], {}, [[]], [None], {"": None}, {"id": {"id": 1}},
    {"a": [1, 2], "b": [1]}, {"id": []}, ["x"] * 50, {"k" * 5000: 1},
)  # fmt: skip
ODD_TEXT = (
    b"[" * 100_000, b'{"a":' * 20_000, b"9" * 4301, b"-" + b"9" * 5000, b"1e999", b"NaN",
    b"Infinity", b"\\ud83d", b"\\u12", b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"\xed\xa0\x80",
    b"\x1f\x8b\x08\x00", b"PK\x03\x04", b"<!DOCTYPE html>", b"\r", b"\n", b'"', b"\\", b",", b"}",
    b"]", b"=", b"\t", b"inf", b"''' ", b'"""', b"[[x]]\n", b"1979-05-27T07:32:00Z", b"0x", b"//",
)  # fmt: skip


def mutated_bytes(random: Random, content: bytes) -> bytes:
    """The content with some bytes changed, cut, doubled or put in."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        at = random.randrange(len(changed) + 1)
        end = min(len(changed), at + random.choice((1, 1, 2, 8, 64, 1024)))
        kind = random.randrange(7)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            del changed[at:end]
        elif kind == 2:
            changed[at:at] = changed[at:end]
        elif kind == 3:
            changed[at:at] = random.randbytes(random.choice((1, 2, 8)))
        elif kind == 4:
            changed[at:end] = random.choice(ODD_TEXT)
        elif kind == 5:
            changed[at:at] = random.choice(ODD_TEXT)
        elif random.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def mutated_value(random: Random, value: Any) -> Any:
    """A JSON value with one to three of its parts changed; `value` itself is changed too."""
    for _ in range(random.choice((1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return random.choice(ODD_VALUES)
        holder, key = random.choice(places)
        _change(random, holder, key, places)
    return value


def mutated_json(random: Random, content: bytes, *, lines: bool) -> bytes:
    """A JSON text, or JSON lines, with other values in it."""
    if not lines:
        return _dumped(random, mutated_value(random, json.loads(content)))
    rows = [json.loads(line) for line in content.splitlines()]
    at = random.randrange(len(rows))
    kind = random.randrange(6)
    if kind == 0:
        rows.append(rows[at])
    elif kind == 1:
        rows[at] = random.choice(ODD_VALUES)
    else:
        rows[at] = mutated_value(random, rows[at])
    return b"\n".join(_dumped(random, row) for row in rows) + b"\n"


def mutated_content(random: Random, name: str, content: bytes) -> bytes:
    """A file's content, changed as its ending suggests."""
    if name.endswith(".gz") and random.random() < 0.7:
        return gzip.compress(
            mutated_content(random, name.removesuffix(".gz"), gzip.decompress(content)), 1
        )
    is_json = name.endswith((".json", ".jsonl"))
    if is_json and random.random() < 0.75:
        return mutated_json(random, content, lines=name.endswith(".jsonl"))
    return mutated_bytes(random, content)


def mutated_file(random: Random, file: Path) -> None:
    """Put something else in a file's place, under its name or another one."""
    content = file.read_bytes()
    file.unlink()
    kind = random.randrange(10)
    if kind == 0:
        return
    if kind == 1:
        file.symlink_to("nowhere/at all")
    elif kind == 2:
        file.mkdir()
    elif kind == 3:
        os.mkfifo(file)
    elif kind == 4:
        file.symlink_to("/dev/null")
    elif kind == 5:
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content, 1))
    elif kind == 6:
        file.with_name(file.name.upper()).write_bytes(content)
    elif kind == 7:
        file.with_name(file.name + random.choice((".zip", ".bak", ".xz"))).write_bytes(content)
    elif kind == 8:
        encoding = random.choice(("utf-16", "utf-32", "utf-8-sig", "cp1252"))
        file.write_bytes(content.decode("utf-8", "replace").encode(encoding, "replace"))
    else:
        file.write_bytes(random.choice((b"", b" ", b"\n", b"{}", b"[]", b"null", b"[{}]", b"\0")))


def _dumped(random: Random, value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def _places(value: Any) -> Any:
    """(holder, key or index) of every value inside a value."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield value, key
            yield from _places(inside)
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            yield value, index
            yield from _places(inside)


def _change(random: Random, holder: Any, key: Any, places: list[Any]) -> None:
    kind = random.randrange(9)
    value = holder[key]
    if kind <= 2:
        # a copy: the same list would otherwise be changed again by the next input
        holder[key] = json.loads(json.dumps(random.choice(ODD_VALUES)))
    elif kind == 3:
        del holder[key]
    elif kind == 4:
        other, place = random.choice(places)
        copied = other[place] if _has(other, place) else None
        holder[key] = json.loads(json.dumps(copied))
    elif kind == 5:
        # "NaN" in quotes is a text like any other, which check_dataset could not tell from NaN
        plain = "a number" if isinstance(value, float) else value
        texts = (str(plain), json.dumps(plain))
        holder[key] = random.choice(([value], {"a": value}, *texts))
    elif kind == 6 and isinstance(value, list):
        holder[key] = [*value, *json.loads(json.dumps(value[:1]))]
    elif kind == 7 and isinstance(value, list) and value and isinstance(value[0], dict):
        names = value[0]
        holder[key] = {name: [row.get(name) if isinstance(row, dict) else row for row in value]
                       for name in names}  # fmt: skip
    elif isinstance(holder, dict):
        others = ("id", "Id", "x" * 300, "\n", "[", "(a+)+", str(key).upper())
        holder[random.choice(others)] = holder.pop(key)


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)
