"""Looking at what a method would do, without a run."""

from typing import TYPE_CHECKING, Unpack

from lampbench.api.running import one_plan
from lampbench.api.settings import AnyMethod, AnyTask, RunSettings

if TYPE_CHECKING:
    from lampbench.study.shown_prompts import ShownPrompt


def show_prompt(
    method: AnyMethod,
    task: AnyTask,
    *,
    model: str = "bundled",
    seed: int = 0,
    user: str | None = None,
    query: str | None = None,
    **settings: Unpack[RunSettings],
) -> "list[ShownPrompt]":
    """The prompt of a query as the model reads it, with the number of its tokens.

    Contrastive methods have a prompt per side. Nothing is trained, and the model is not loaded.

    Args:
        method: a method's name, or a class.
        task: a task's name, or a class.
        model: a model preset, hub id or folder; its tokenizer and chat template are used.
        seed: seed of all random choices.
        user: a test user's id; None for the first.
        query: a query's id; None for the user's first.
        settings: see `RunSettings`.

    Raises:
        LampbenchError: there is no such user or query, the method asks no model, or its prompts
            need an artifact, such as a profile, that was not made yet.
    """
    from lampbench.study.shown_prompts import shown_prompts

    with one_plan(method, task, model, seed, settings) as found:
        return shown_prompts(found, user, query)
