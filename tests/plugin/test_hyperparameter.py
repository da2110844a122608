"""Where a hyper-parameter's value comes from, and what is refused."""

import os
from dataclasses import dataclass
from typing import Any

import pytest

from lampbench.plugin.hyperparameter import (
    Part,
    SourcedValue,
    ValueSources,
    checked_value,
    hyper,
    parse_set,
    read_config,
    reject_unknown,
    resolve,
)
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True)
class Oven(Part):
    section = "oven"

    heat: float = hyper("how hot", default=180.0, low=0.0, high=300.0)
    trays: int = hyper("how many", low=1)
    mode: str = hyper("which way", default="fan", choices=("fan", "grill"))
    racks: tuple[str, ...] = hyper("where", default=("top",))


def settings(part, overrides=(), defaults=()):
    found: dict[str, Any] = {}
    layers = ValueSources(
        {path: SourcedValue(value, "--set") for path, value in dict(overrides).items()},
        {path: SourcedValue(value, "a preset") for path, value in dict(defaults).items()},
    )
    return resolve(part, layers, "method x", found), found


def test_the_strongest_layer_wins_and_is_named():
    preset = {"oven.trays": 2, "oven.heat": 100.0}
    part, found = settings(Oven(), defaults=preset)
    assert (part.heat, found["oven.heat"].source) == (100.0, "a preset")
    part, found = settings(Oven(heat=120.0), defaults=preset)
    assert (part.heat, found["oven.heat"].source) == (120.0, "method x")
    part, found = settings(Oven(heat=120.0), {"oven.heat": 90}, preset)
    assert (part.heat, found["oven.heat"].source) == (90.0, "--set")
    assert isinstance(part.heat, float)
    part, found = settings(Oven(), defaults={"oven.trays": 2})
    assert (part.heat, found["oven.heat"].source) == (180.0, "default of Oven")


def test_a_value_that_nobody_gives_is_asked_for():
    with pytest.raises(LampbenchError, match=r"oven\.trays has no value: set it with --set"):
        settings(Oven())


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("oven.heat", -1, "at least 0.0"),
        ("oven.heat", 301, "at most 300.0"),
        ("oven.heat", float("nan"), "finite"),
        ("oven.heat", float("inf"), "finite"),
        ("oven.heat", "hot", "give a number"),
        ("oven.trays", 1.5, "give a whole number"),
        ("oven.trays", True, "give a whole number"),
        ("oven.mode", "steam", "one of fan, grill"),
        ("oven.racks", 3, "names separated by commas"),
    ],
)
def test_what_does_not_fit_is_refused(path, value, said):
    with pytest.raises(LampbenchError, match=said):
        settings(Oven(), {"oven.trays": 1, path: value})


def test_minus_zero_is_zero():
    part, found = settings(Oven(), {"oven.trays": 1, "oven.heat": -0.0}, {"oven.heat": 0.0})
    assert str(part.heat) == "0.0" and not found["oven.heat"].changed


def test_a_whole_number_too_large_for_a_fraction_is_refused():
    """Found by the fuzzer."""
    rule = {"low": None, "high": None, "choices": None}
    with pytest.raises(LampbenchError, match="give a finite number"):
        checked_value("oven.heat", SourcedValue(10**400, "--set"), float, rule)


def test_names_may_be_written_with_commas():
    part, _ = settings(Oven(), {"oven.trays": 1, "oven.racks": "top,bottom"})
    assert part.racks == ("top", "bottom")


def test_one_section_cannot_mean_two_things():
    @dataclass(frozen=True)
    class Kitchen(Part):
        section = "kitchen"
        left: Oven = Oven(heat=100.0)
        right: Oven = Oven(heat=200.0)

    with pytest.raises(LampbenchError, match=r"oven\.heat is both 100\.0 and 200\.0"):
        settings(Kitchen(), {"oven.trays": 1})


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("a.b=1", "a.b", 1),
        ("a.b=0.5", "a.b", 0.5),
        ("a.b=5e-6", "a.b", 5e-6),
        ("a.b=true", "a.b", True),
        ("a.b=word", "a.b", "word"),
        ('a.b="quoted"', "a.b", "quoted"),
        ("a.b=q_proj,v_proj", "a.b", "q_proj,v_proj"),
        ("a.b=x=y", "a.b", "x=y"),
    ],
)
def test_assignments_are_read(text, path, value):
    assert parse_set(text) == (path, SourcedValue(value, "--set"))


def test_a_configuration_file_gives_values_with_its_name(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[oven]\nheat = 90\n")
    assert read_config(file) == {"oven.heat": SourcedValue(90, str(file))}
    file.write_text("heat = 90\n")
    with pytest.raises(LampbenchError, match="under a section"):
        read_config(file)


@pytest.mark.parametrize("text", [b"[oven", b"\xff", b"x = " + b"[" * 9999, b"x = " + b"9" * 5000])
def test_what_is_no_toml_is_one_line(tmp_path, text):
    file = tmp_path / "c.toml"
    file.write_bytes(text)
    with pytest.raises(LampbenchError, match=r"c\.toml: not a TOML file .*; correct it"):
        read_config(file)


def test_a_pipe_for_a_configuration_file_is_not_waited_for(tmp_path):
    """Found by the fuzzer."""
    os.mkfifo(tmp_path / "c.toml")
    with pytest.raises(LampbenchError, match=r"no ordinary file.*give a TOML file"):
        read_config(tmp_path / "c.toml")


def test_an_unknown_path_gets_the_nearest():
    with pytest.raises(LampbenchError, match=r"did you mean oven\.heat\?"):
        reject_unknown({"oven.het": SourcedValue(1, "--set")}, {"oven.heat", "oven.trays"})
