"""Further arguments of a server, as a user gives them: split as a shell does, and checked."""

import shlex

from lampbench.util.errors import LampbenchError
from lampbench.util.secrets import has_secret

_INSTEAD = {
    "model": "--model",
    "dtype": "--dtype",
    "revision": "--model NAME@REVISION",
    "trust-remote-code": "--model-arg trust_remote_code=true",
    "max-num-seqs": "--batch-size",
    "max-loras": "--engine-arg max_loras=N",
    "max-cpu-loras": "--engine-arg max_cpu_loras=N",
}
"""Arguments of vLLM that lampbench sets from an option of its own."""
_OURS = ("tokenizer", "tokenizer-revision", "served-model-name", "host", "port", "uds", "config",
         "enable-lora", "max-lora-rank", "lora-target-modules", "generation-config",
         "override-generation-config", "logprobs-mode", "logits-processors",
         "hf-overrides")  # fmt: skip


def server_arguments(text: str) -> list[str]:
    """The words of `server_args`.

    Raises:
        LampbenchError: quotes do not match; an argument is one that lampbench sets, so that
            another model or other settings would answer than those that are recorded; or it looks
            like a secret, which keys and manifests would show.
    """
    if has_secret(text):
        raise LampbenchError(
            "--engine-arg server_args holds what looks like a secret, and manifests show it; a "
            "server that lampbench starts has a key of its own, and vLLM reads HF_TOKEN from the "
            "environment: leave it out"
        )
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise LampbenchError(
            f"--engine-arg server_args={text!r}: {str(error).lower()}; quote each argument as in "
            "a shell"
        ) from error
    for word in words:
        if (name := _set_here(word)) is not None:
            instead = f"use {_INSTEAD[name]}" if name in _INSTEAD else "leave it out"
            raise LampbenchError(
                f"--engine-arg server_args: lampbench sets --{name} itself; {instead}"
            )
    return words


def _set_here(word: str) -> str | None:
    """The argument that lampbench sets and a word names; vLLM takes abbreviations, underscores,
    and `--no-` before a switch.
    """
    if not word.startswith("--"):
        return None
    name = word[2:].partition("=")[0].partition(".")[0].replace("_", "-").removeprefix("no-")
    known = (*_INSTEAD, *_OURS)
    return next((each for each in known if name and each.startswith(name)), None)
