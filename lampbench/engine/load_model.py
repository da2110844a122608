"""Loading a model and its tokenizer, from a folder or the hub."""

from dataclasses import dataclass
from typing import Any

import torch

from lampbench.core.precision import PRECISIONS
from lampbench.engine.device_memory import is_out_of_memory
from lampbench.engine.model_arguments import (
    DEVICE_MAPS,
    NOTHING_GIVEN,
    ModelArguments,
    require_quantizer,
)
from lampbench.engine.model_config import quantization_method
from lampbench.engine.model_files import commit_of
from lampbench.engine.models import ModelSpec
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.util.errors import LampbenchError, short_repr

_NO_LIMIT = 10**9  # tokenizers without a limit of their own say 1e30


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A causal language model with its tokenizer; `context` is its context length in tokens."""

    model: Any
    tokenizer: Any
    context: int
    device: torch.device


def choose_device(asked: str | None) -> torch.device:
    """The device asked for; for None or "auto" CUDA, else Apple's MPS, else the CPU.

    Raises:
        LampbenchError: the device asked for cannot be used.
    """
    if asked is None or asked == "auto":
        mps = "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device("cuda" if torch.cuda.is_available() else mps)
    usable = _usable_devices()
    if asked not in usable:
        listed = ", ".join(dict.fromkeys(usable))
        raise LampbenchError(
            f"device {asked!r} cannot be used: here are {listed}; choose one of them with --device"
        )
    device = torch.device(asked)
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        cause = str(error).partition("\n")[0]
        raise LampbenchError(
            f"device {asked!r} cannot be used: {cause}; choose another one with --device"
        ) from error
    return device


def require_device_map(asked: str) -> None:
    """Make sure that transformers can put layers where `--model-arg device_map` says.

    Raises:
        LampbenchError: it is neither a way to divide a model nor a device of this machine.
    """
    if asked not in (known := (*DEVICE_MAPS, *_usable_devices())):
        raise LampbenchError(
            f"--model-arg device_map={asked} cannot be used: choose one of "
            f"{', '.join(dict.fromkeys(known))}"
        )


def _usable_devices() -> list[str]:
    """The devices that this machine has, by torch's names."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def load_model(
    spec: ModelSpec,
    device: str | None,
    dtype: str,
    arguments: ModelArguments = NOTHING_GIVEN,
) -> LoadedModel:
    """Load a model for inference, with its weights frozen, straight onto its device.

    Raises:
        LampbenchError: the device cannot be used or is too small, `dtype` is unknown, a package is
            missing, or the files are missing, damaged or cannot be reached.
    """
    if dtype not in PRECISIONS:
        raise LampbenchError(f"no precision is called {dtype!r}: there are {', '.join(PRECISIONS)}")
    if arguments.device_map:
        require_device_map(arguments.device_map)
    chosen = None if arguments.device_map else choose_device(device)
    _require_readable_weights(spec)
    tokenizer = load_tokenizer(spec, arguments)
    model = _weights(spec, dtype, arguments, chosen)
    _keep_layout(model)
    model.eval().requires_grad_(False)
    context = usable_context(spec, model.config, tokenizer)
    return LoadedModel(model, tokenizer, context, chosen or _only_device(spec, model, arguments))


def usable_context(spec: ModelSpec, config: Any, tokenizer: Any) -> int:
    """The context length in tokens of a model with its tokenizer, whose own bound is lifted:
    prompts are fitted into the context, and what is dropped is counted, so that no warning is
    needed.

    Raises:
        LampbenchError: the model's configuration has none.
    """
    context = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(context, int):
        raise LampbenchError(
            f"model {spec.location}: its config.json has no context length "
            "(max_position_embeddings), as models without rotary or learned positions; choose "
            "another model"
        )
    if tokenizer.model_max_length and tokenizer.model_max_length < _NO_LIMIT:
        context = min(context, int(tokenizer.model_max_length))
    tokenizer.model_max_length = _NO_LIMIT
    return context


def load_tokenizer(spec: ModelSpec, arguments: ModelArguments = NOTHING_GIVEN) -> Any:
    """The tokenizer of a model in a folder or on the hub.

    Raises:
        LampbenchError: its files are missing, damaged or cannot be reached.
    """
    from transformers import AutoTokenizer

    options = {"revision": commit_of(spec), "trust_remote_code": arguments.trust_remote_code}
    with quiet_libraries():
        try:
            return AutoTokenizer.from_pretrained(spec.location, **options)
        except Exception as error:  # whatever a damaged file makes the library raise
            raise _unloadable(f"the tokenizer of model {spec.location}", error) from error


def _weights(
    spec: ModelSpec, dtype: str, arguments: ModelArguments, device: torch.device | None
) -> Any:
    """The model on its device; `device` None leaves it to `arguments.device_map`."""
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    options: dict[str, Any] = {
        "revision": commit_of(spec),
        "trust_remote_code": arguments.trust_remote_code,
        "dtype": getattr(torch, dtype),
    }
    if arguments.attn_implementation:
        options["attn_implementation"] = arguments.attn_implementation
    if arguments.quantization:
        options["quantization_config"] = _quantization(arguments.quantization, dtype)
    if device is None or device.type != "cpu" or arguments.quantization:
        # each tensor goes there as it is read: the whole model is never in the CPU's memory
        options["device_map"] = arguments.device_map if device is None else {"": str(device)}
    with quiet_libraries():
        try:
            model, report = auto.from_pretrained(spec.location, output_loading_info=True, **options)
        except Exception as error:  # whatever a damaged file makes the library raise
            raise _unloadable(f"model {spec.location}", error) from error
    if missing := sorted(report["missing_keys"]):  # they would be random numbers
        raise LampbenchError(
            f"model {spec.location} cannot be loaded: its files hold no weights for {missing[0]}"
            f"{f' and {len(missing) - 1} more' if missing[1:] else ''}; download or save it again"
        )
    return model


def _require_readable_weights(spec: ModelSpec) -> None:
    """Refuse weights in a form that transformers does not know, which it reads as if unquantised.

    Raises:
        LampbenchError: they are.
    """
    if (method := quantization_method(spec)) is None:
        return
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING as KNOWN

    if method not in KNOWN and method != "bitsandbytes":
        raise LampbenchError(
            f"model {spec.location}: its weights are quantised by {short_repr(method)}, which this "
            "transformers cannot read; install a version that can, or choose unquantised weights"
        )


def _quantization(kind: str, dtype: str) -> Any:
    from transformers import BitsAndBytesConfig

    require_quantizer(kind)
    make: Any = BitsAndBytesConfig
    if kind == "8bit":
        return make(load_in_8bit=True)
    return make(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )


def _keep_layout(model: Any) -> None:
    """Keep bitsandbytes from rearranging 4-bit weights at the first answer on a CPU.

    It also rounds their scales, and the rearranged layers pass no gradient to those before them.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _only_device(spec: ModelSpec, model: Any, arguments: ModelArguments) -> torch.device:
    """The device that holds all weights.

    Raises:
        LampbenchError: there are several.
    """
    devices = sorted({str(tensor.device) for tensor in model.parameters()})
    if len(devices) != 1:
        raise LampbenchError(
            f"--model-arg device_map={arguments.device_map} puts model {spec.location} on "
            f"{' and '.join(devices)}, and all of it must be on one device; choose a smaller model "
            "or --model-arg quantization=4bit"
        )
    return torch.device(devices[0])


def _unloadable(what: str, error: Exception) -> LampbenchError:
    """The error for what cannot be loaded, with the remedy for its cause."""
    cause = " ".join(str(error).split())[:300].rstrip(".")
    if isinstance(error, RuntimeError) and is_out_of_memory(error):
        return LampbenchError(
            f"the device's memory does not hold {what}; choose a smaller model, "
            "--model-arg quantization=4bit or another --device"
        )
    if "trust_remote_code" in str(error):
        return LampbenchError(
            f"{what} comes with Python code of its own, which is not run unless you trust it: read "
            "it, then give --model-arg trust_remote_code=true"
        )
    if isinstance(error, ImportError):
        return LampbenchError(f"{what} needs a package that is missing: {cause}; install it")
    return LampbenchError(f"{what} cannot be loaded: {cause}; download or save it again")
