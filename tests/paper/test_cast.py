"""The paper's cast exists, agrees with the printed tables, and is named nowhere else."""

import ast
import re
from pathlib import Path

import pytest

from lampbench.paper.cast import Contest, Control, cast
from lampbench.paper.published import paper
from lampbench.plugin.weighted_sides import Contrastive
from lampbench.registry import Registry
from lampbench.study.sweep import read_grid

ROOT = Path(__file__).parents[2]


def test_every_method_and_task_of_the_cast_is_built_in():
    registry = Registry()
    named = {*cast().methods(), *cast().examples, *cast().overview}
    contests = (cast().against_nothing, cast().personalization, cast().proposal)
    compared: list[Contest | Control] = [*contests, *cast().controls]
    for pair in compared:
        named |= {pair.method, pair.over}
    assert named == set(cast().methods()) <= set(registry.names("method"))
    assert cast().sensitivity.task in registry.names("task")


def test_every_control_beyond_the_paper_has_a_method_to_test():
    assert set(cast().control_for) <= set(cast().beyond)
    assert set(cast().control_for.values()) <= set(cast().methods())
    for name in cast().control_for:
        text = type(Registry().method(name)).__doc__ or ""
        assert "Source: defined here" in text, name


def test_the_cast_is_that_of_the_printed_tables():
    def rows(table):
        return list(dict.fromkeys(score.method for score in paper().scores if score.table == table))

    for table in (1, 2, 5, 6, 7):
        assert tuple(rows(table)) == cast().main
    assert rows(3) == [row.method for row in cast().ablation]


def test_the_ablation_says_what_its_methods_do():
    registry = Registry()
    for row in cast().ablation:
        method = registry.method(row.method)
        assert (type(method.decoding).__name__ == "Contrastive") == row.contrastive
        assert (type(method.adaptation).__name__ == "UserDPO") == row.dpo


def test_figure_3_varies_one_thing_at_a_time():
    registry = Registry()
    figure = cast().sensitivity
    methods = [registry.method(name) for name in figure.base_models]
    assert len({repr(method.adaptation) for method in methods}) == 1
    decodings = [method.decoding for method in methods]
    against = {repr(one.against) for one in decodings if isinstance(one, Contrastive)}
    assert len(against) == len(methods)
    assert figure.method in figure.base_models
    assert [len(*read_grid([axis]).values()) for axis in figure.parameters] == [5, 4]


def strings(file):
    """Every string of a module that is no docstring, with its line."""
    tree = ast.parse(file.read_text("utf-8"))
    texts = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            yield node.lineno, node.value


ELSEWHERE = {("lampbench/data/sources.py", "oppu")}
"""The scheme of a data source, `oppu:DIR`: the files of a repository, not the method."""


@pytest.mark.parametrize("kind", ["method", "task"])
def test_the_harness_names_no_method_and_no_task(kind):
    """Names are data in `paper/`; examples of command lines (`--method NAME`) may have them."""
    names = Registry().names(kind)
    long = "|".join(name for name in names if "_" in name)
    found = []
    for file in sorted((ROOT / "lampbench").rglob("*.py")):
        path = file.relative_to(ROOT).as_posix()
        for line, text in strings(file):
            whole = text in names and (path, text) not in ELSEWHERE
            example = re.sub(r"--(method|task) \w+", "", text)
            if whole or re.search(rf"\b({long})\b", example):
                found.append(f"{path}:{line}: {text!r}")
    assert found == []
