"""How a model is loaded: the arguments of `--model-arg`, checked. Does not import torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any

from lampbench.core.device import is_device_name
from lampbench.core.precision import PRECISIONS
from lampbench.util.errors import LampbenchError, suggestion
from lampbench.util.key_values import parse_key_values

QUANTIZATIONS = ("4bit", "8bit")
ATTENTIONS = ("sdpa", "eager")
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
"""Ways in which transformers divides a model; a device's name is one, too."""

SHOWN_ELSEWHERE = ("device_map", "revision", "dtype")
"""Arguments that change no answer, or that other parts of a model's identity show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArguments:
    """How a model is loaded; what is None is left to the model or the machine.

    Attributes:
        quantization: "4bit" (NF4 with double quantisation, as QLoRA) or "8bit" (LLM.int8), by
            bitsandbytes while the model is loaded.
        device_map: where transformers puts the layers, such as "auto" or "cuda:1"; they must all be
            on one device.
        attn_implementation: "sdpa" or "eager".
        revision: commit, branch or tag of a model on the hub.
        trust_remote_code: run the Python files that come with a model.
        dtype: precision of weights and activations.
    """

    quantization: str | None = None
    device_map: str | None = None
    attn_implementation: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    dtype: str | None = None

    def given(self) -> dict[str, Any]:
        """The arguments that were given, by name."""
        return {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) not in (None, False)
        }

    def changes(self) -> dict[str, Any]:
        """Those that may change an answer and that no other part of a model's identity shows."""
        return {name: v for name, v in self.given().items() if name not in SHOWN_ELSEWHERE}


NOTHING_GIVEN = ModelArguments()
"""Models are loaded as they are."""

CHOICES: dict[str, tuple[str, ...]] = {
    "quantization": QUANTIZATIONS,
    "device_map": (),
    "attn_implementation": ATTENTIONS,
    "revision": (),
    "trust_remote_code": ("true", "false"),
    "dtype": PRECISIONS,
}
"""The values of each argument; empty where any text is one."""


def parse_model_arguments(texts: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE texts as a mapping.

    Raises:
        LampbenchError: a text has another form, or a key is given twice with different values.
    """
    return parse_key_values("--model-arg", texts, "quantization=4bit")


def model_arguments(given: Mapping[str, Any]) -> ModelArguments:
    """Arguments by name as one checked object; text stands for other types, as in a shell.

    Raises:
        LampbenchError: there is no such argument, or its value is not valid.
    """
    for name in given:
        if name not in CHOICES:
            raise LampbenchError(
                f"no model argument is called {name!r} (--model-arg): {suggestion(name, CHOICES)}"
            )
    return ModelArguments(**{name: _checked(name, value) for name, value in given.items()})


def _checked(name: str, value: Any) -> Any:
    text = str(value).lower() if isinstance(value, bool) else value
    if not isinstance(text, str) or not text:
        raise LampbenchError(f"--model-arg {name}={value!r}: give a text")
    if CHOICES[name] and text not in CHOICES[name]:
        raise LampbenchError(f"--model-arg {name}={text}: choose one of {', '.join(CHOICES[name])}")
    if name == "device_map" and text not in DEVICE_MAPS and not is_device_name(text):
        raise LampbenchError(
            f"--model-arg device_map={text}: choose one of {', '.join(DEVICE_MAPS)}, or a device "
            "such as cpu or cuda:1"
        )
    return text == "true" if name == "trust_remote_code" else text


def require_quantizer(kind: str) -> None:
    """Make sure that what quantises models is installed.

    Raises:
        LampbenchError: it is not.
    """
    if find_spec("bitsandbytes") is None:
        raise LampbenchError(
            f"--model-arg quantization={kind} needs the package bitsandbytes; "
            "pip install 'lampbench[quantization]'"
        )
