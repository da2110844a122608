"""Completion scripts: click's own, but no blank after SECTION.NAME= and bash's split at = undone.

Fish needs neither: it adds no blank after = and does not split there.
"""

from typing import Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    ZshComplete,
    add_completion_class,
)

_BASH, _BASH_NO_BLANK = (
    "COMPREPLY+=($value)",
    "COMPREPLY+=($value); [[ $value == *= ]] && compopt -o nospace",
)
_ZSH, _ZSH_NO_BLANK = (
    "_describe -V unsorted completions_with_descriptions -U",
    "if [[ ${completions_with_descriptions[1]%%%%:*} == *= ]]; then\n"
    "            _describe -V unsorted completions_with_descriptions -U -S ''\n"
    "        else\n"
    "            _describe -V unsorted completions_with_descriptions -U\n"
    "        fi",
)


@add_completion_class
class Bash(BashComplete):
    """Bash passes `--set a.b=c` as the words --set, a.b, = and c, and completes the last alone."""

    source_template = BashComplete.source_template.replace(_BASH, _BASH_NO_BLANK)

    def get_completion_args(self) -> tuple[list[str], str]:
        """The complete arguments and the incomplete one, words joined where bash split at =."""
        args, incomplete = super().get_completion_args()
        joined: list[str] = []
        for word in [*args, incomplete]:
            if joined and (word == "=" or joined[-1].endswith("=")):
                joined[-1] += word
            else:
                joined.append(word)
        self._split = joined[-1].rpartition("=")[0] + "=" if "=" in joined[-1] else ""
        return joined[:-1], joined[-1]

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """What follows the last = that was typed, which is the word that bash completes."""
        return f"{item.type},{str(item.value).removeprefix(self._split)}"


@add_completion_class
class Zsh(ZshComplete):
    """As click's, without a blank after =."""

    source_template = ZshComplete.source_template.replace(_ZSH, _ZSH_NO_BLANK)
