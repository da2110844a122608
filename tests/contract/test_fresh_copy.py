from typing import Any

from lampbench.contract.fresh_copy import forget_copies, fresh_copy
from lampbench.plugin.identity import code_identity
from lampbench.plugin.prompting import Plain
from lampbench.registry import Registry

SOURCE = """
from lampbench.plugin import Method, register_method
kept = []

@register_method("mine")
class Mine(Method):
    def remember(self):
        kept.append(1)
        return len(kept)
"""


def test_a_copy_remembers_nothing_and_has_the_same_identity(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    first: Any = type(Registry([file]).method("mine"))
    assert (first().remember(), first().remember()) == (1, 2)
    second = fresh_copy(first)
    assert second is not first
    assert second().remember() == 1
    assert code_identity(second) == code_identity(first)
    forget_copies(first)


def test_what_has_no_file_of_its_own_is_not_copied():
    assert fresh_copy(Plain) is Plain
    made = type("Made", (), {"__module__": "nowhere"})
    assert fresh_copy(made) is made
