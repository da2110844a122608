"""Whether a model can be run: its files, tokenizer, chat template and special tokens."""

from collections.abc import Iterator
from typing import Any

from lampbench.core.fidelity import PAPER
from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.model_arguments import NOTHING_GIVEN, ModelArguments, require_quantizer
from lampbench.engine.model_config import require_weights
from lampbench.engine.model_files import commit_of
from lampbench.engine.models import ModelSpec, resolve_model
from lampbench.engine.packaged_model import packaged_file, packaged_tokenizer, require_known
from lampbench.study.check_machine import Check, within
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import file_digest

_SECONDS = 60.0
_HEAD = 12  # tokens that are shown


def check_model(
    name: str, arguments: ModelArguments = NOTHING_GIVEN, seconds: float = _SECONDS
) -> Iterator[Check]:
    """Every check of a model, without reading its weights; waits `seconds` for the hub at most."""
    try:
        spec = resolve_model(name)
        yield from (Check("about", "note", note) for note in spec.notes)
        yield within(seconds, lambda: _files(spec))
        if arguments.quantization:
            yield _quantizer(arguments.quantization)
        tokenizer = within(seconds, lambda: model_tokenizer(spec, arguments))
        yield Check("tokenizer", "ok", f"{type(tokenizer).__name__}, {len(tokenizer):,} tokens")
        yield from _special_tokens(tokenizer)
        yield from _template(spec, tokenizer)
    except LampbenchError as error:
        yield Check("model", "wrong", str(error))
    except TimeoutError:
        text = f"{name}: the hub did not answer in {seconds:.0f} s; download the model first"
        yield Check("model", "wrong", f"{text} (`hf download {name}`)")


def _files(spec: ModelSpec) -> Check:
    if (packaged := spec.package) is not None:
        file = packaged_file(packaged)
        require_known(packaged, file_digest(file))
        size = file.stat().st_size
        return Check("files", "ok", f"{file}: {size:,} bytes, as known; converted when first used")
    commit = commit_of(spec)
    if commit is not None:
        return Check("files", "ok", f"{spec.location} on the hub, commit {commit}")
    folder = spec.folder
    assert folder is not None
    weights = require_weights(folder)
    size = sum(file.stat().st_size for file in weights)
    return Check("files", "ok", f"{folder}: {len(weights)} files of weights, {size:,} bytes")


def _quantizer(kind: str) -> Check:
    require_quantizer(kind)
    return Check("quantization", "ok", f"{kind}, by bitsandbytes")


def model_tokenizer(spec: ModelSpec, arguments: ModelArguments) -> Any:
    """The tokenizer of a model; its weights are not read.

    Raises:
        LampbenchError: its files are missing, damaged or cannot be reached.
    """
    from lampbench.engine.load_model import load_tokenizer

    if spec.package is not None:
        return packaged_tokenizer(spec.package)
    return load_tokenizer(spec, arguments)


def _special_tokens(tokenizer: Any) -> Iterator[Check]:
    for kind in ("bos", "eos", "pad"):
        token, number = getattr(tokenizer, f"{kind}_token"), getattr(tokenizer, f"{kind}_token_id")
        if number is not None:
            yield Check(kind, "ok", f"{token!r} ({number})")
        elif kind == "eos":
            yield Check(kind, "wrong", "the tokenizer has no end token; set eos_token in its files")
        elif kind == "pad":
            yield Check(kind, "note", "none: the eos token is used, which changes no answer")
        else:
            yield Check(kind, "note", "none: prompts begin without one, as the model was trained")


def _template(spec: ModelSpec, tokenizer: Any) -> Iterator[Check]:
    from lampbench.engine.prompt_encoder import PromptEncoder

    encoder = PromptEncoder(tokenizer, spec.chat_template, 1 << 20, PAPER)
    own = "the tokenizer's own" if spec.chat_template is None else spec.chat_template
    yield Check("chat template", "ok", own)
    prompt = Prompt("Be brief.", (Piece("Write a title."),))
    ids = encoder.encode_prompt("doctor", prompt, 1 << 20).ids
    bos = tokenizer.bos_token_id
    head = " ".join(repr(text) for text in encoder.token_texts(ids[:_HEAD]))
    if bos is not None and ids[:2] == (bos, bos):
        yield Check("prompt", "wrong", f"{head}: begins with two BOS; fix the chat template")
    else:
        yield Check("prompt", "ok", f"{len(ids)} tokens: {head} ...")
    yield Check("end of turn", "ok", f"{tokenizer.decode([encoder.end_of_turn])!r}")
