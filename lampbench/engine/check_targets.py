"""Whether a model has the linear layers that an adapter names, without loading its weights.

Does not import torch, unless a name is not among those of the stored weights.
"""

import re
from collections.abc import Collection

from lampbench.engine.layer_names import require_layers
from lampbench.engine.model_arguments import ModelArguments
from lampbench.engine.model_files import commit_of, decoder_sizes
from lampbench.engine.models import ModelSpec

_IN_A_LAYER = re.compile(r"\.\d+\.(?:.*\.)?([^.]+)\.weight$")


def require_targets(spec: ModelSpec, targets: Collection[str], arguments: ModelArguments) -> None:
    """As `require_layers`, from a model's files; what they do not say is found when it is loaded.

    Raises:
        LampbenchError: the model has no such linear layers.
    """
    stored = _stored_layers(spec)
    if stored is None or set(targets) <= stored:
        return
    if spec.package is not None:
        require_layers(spec.name, targets, stored)
    elif (layers := _layers_of_architecture(spec, arguments)) is not None:
        require_layers(spec.location, targets, layers)


def _stored_layers(spec: ModelSpec) -> set[str] | None:
    """The last names of matrices in numbered layers; None where no safetensors file is here.

    A model may give its stored weights other names when it is loaded, so that a name that is not
    among these proves nothing.
    """
    from safetensors import SafetensorError, safe_open

    if spec.package is not None:
        sizes = decoder_sizes(spec)
        return set(sizes.linear) if sizes else None
    files = sorted(spec.folder.glob("*.safetensors")) if spec.folder else []
    found: set[str] = set()
    for file in files:
        try:
            with safe_open(file, framework="numpy") as weights:
                for name in weights.keys():  # noqa: SIM118 - it is no mapping
                    last = _IN_A_LAYER.search(name)
                    if last and len(weights.get_slice(name).get_shape()) == 2:
                        found.add(last[1])
        except (SafetensorError, OSError, ValueError):
            return None
    return found if files else None


def _layers_of_architecture(spec: ModelSpec, arguments: ModelArguments) -> set[str] | None:
    """The last names of the linear layers of a model that is built without weights; None where it
    cannot be built.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from lampbench.engine.lora_init import linear_layers
    from lampbench.engine.quiet_libraries import quiet_libraries

    trust = arguments.trust_remote_code
    with quiet_libraries():
        try:
            config = AutoConfig.from_pretrained(
                spec.location, revision=commit_of(spec), trust_remote_code=trust
            )
            with torch.device("meta"):
                model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust)  # type: ignore[no-untyped-call]
        except Exception:  # whatever a damaged file makes the library raise; loading tells it
            return None
    return {name.rpartition(".")[2] for name in linear_layers(model)}
