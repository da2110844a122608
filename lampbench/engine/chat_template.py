"""lampbench's own chat templates, by name: the paper's (Appendix D) and Vicuna's."""

from importlib.resources import files

from lampbench.util.errors import LampbenchError

CHAT_TEMPLATES = ("mistral", "llama", "gemma", "qwen", "vicuna")


def load_chat_template(name: str) -> str:
    """Jinja text of one of lampbench's chat templates.

    Raises:
        LampbenchError: there is no template of that name.
    """
    if name not in CHAT_TEMPLATES:
        raise LampbenchError(
            f"no chat template is called {name!r}: there are {', '.join(CHAT_TEMPLATES)}"
        )
    return files("lampbench.engine").joinpath("templates", f"{name}.jinja").read_text("utf-8")


def paper_chat_template(model_type: str) -> str:
    """Name of the paper's template (Appendix D) for models of a transformers `model_type`.

    The reference code trains under it (`--fidelity reference`).

    Raises:
        LampbenchError: the paper has no template for such models.
    """
    for name in ("mistral", "llama", "gemma", "qwen"):
        if model_type.startswith(name):
            return name
    raise LampbenchError(
        f"the reference code has no chat template for models of type {model_type}; "
        "use --fidelity paper"
    )
