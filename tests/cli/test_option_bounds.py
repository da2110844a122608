"""Every option and argument of every command: values that make no sense are refused in one line."""

import click
import pytest

from lampbench.cli.values import Number, WholeNumber
from lampbench.util.bounds import LONGEST_TEXT
from lampbench.util.terminal import LONGEST
from tests.cli.test_help import EVERY

WHOLE = ["-1", "99999999999999999999", "1" * 5_000, "1.5", "nan", "1_0", "\uff11", "", "a\nb"]
NUMBERS = ["nan", "inf", "1e400", "-1e-9", "1e20", "", "a\nb", "1" * 5_000]
TEXTS = ["a.b=1\nc.d=2", "a.b=\x1b[31m", "tab\tbed", "\u202egnp", "", "x" * (LONGEST_TEXT + 1)]
USER = ("forget", "user")


def values_of(parameter):
    if isinstance(parameter.type, WholeNumber):
        return WHOLE
    if isinstance(parameter.type, Number) or parameter.name == "max_hours":
        return NUMBERS
    return TEXTS


def given(parameter, value):
    return [f"{parameter.opts[0]}={value}"] if isinstance(parameter, click.Option) else [value]


PARAMETERS = [
    (path, parameter)
    for path, command in EVERY
    for parameter in command.params
    if not (isinstance(parameter, click.Option) and parameter.is_flag)
    and (path[-1], parameter.name) != USER  # an id in data may be any text
]


@pytest.mark.parametrize(
    ("path", "parameter"), PARAMETERS, ids=[" ".join([*p, o.opts[0]]) for p, o in PARAMETERS]
)
def test_a_value_that_makes_no_sense_is_one_line_and_exit_code_2(call, path, parameter, tmp_path):
    command = dict(EVERY)[path]
    hint = parameter.get_error_hint(click.Context(command))
    for value in values_of(parameter):
        words = [
            word
            for each in command.params
            if each is parameter or each.required
            for word in given(each, value if each is parameter else "x.y=1")
        ]
        code, out, err = call(*path, *words)
        assert (code, out) == (2, ""), (value, err)
        line, end = err.split("\n")
        assert line.startswith("error: ") and end == "", err
        assert len(line) <= LONGEST and line.isprintable()
        assert hint in line or parameter.opts[0] in line, err
    assert not list(tmp_path.iterdir()), "nothing was made"


SINGLE = [
    (path, parameter)
    for path, parameter in PARAMETERS
    if isinstance(parameter, click.Option) and not parameter.multiple
]


@pytest.mark.parametrize(
    ("path", "parameter"), SINGLE, ids=[" ".join([*p, o.opts[0]]) for p, o in SINGLE]
)
def test_a_second_value_of_an_option_that_takes_one_is_refused(call, path, parameter, tmp_path):
    words = [*given(parameter, "1"), *given(parameter, "2")]
    code, out, err = call(*path, *words)
    assert (code, out) == (2, "")
    assert parameter.opts[0] in err and "is given twice; give it once" in err
    assert not list(tmp_path.iterdir()), "nothing was made"


def test_numeric_options_have_a_bound():
    loose = (click.IntRange, click.FloatRange, type(click.INT), type(click.FLOAT))
    unbounded = [
        (path, parameter.opts[0])
        for path, parameter in PARAMETERS
        if isinstance(parameter.type, loose) and parameter.callback is None
    ]
    assert unbounded == []
