"""Switches for every place where the paper and its released code disagree, and two presets of them.

`PAPER` is the paper's text with sound engineering. `REFERENCE` makes the reference code's choices
where they change numbers and are not crashes. Every switch names the reference file and line.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Fidelity:
    """A value for every switch.

    Attributes:
        split_templates: train under the paper's custom chat template (Appendix D), infer under
            the tokenizer's own (OPPU_sft.py:203, OPPU_sft+dpo.py:223).
        no_generation_prompt: end the prompts that DPO-trained weights answer with the user's turn,
            without the template's header of the answer (OPPU_sft+dpo.py:375).
        reference_bos: no BOS in training; at inference the template's BOS plus the tokenizer's
            (OPPU_sft+dpo.py:113).
        parse_outputs: cut baselines' outputs out of the decoded text by markers, CoPe's not
            (utils.py:207-249).
        raw_task_input: train the task adapter on the dataset's raw `input` (TAM.py:103).
        train_wording: train users' adapters on another wording of the review and topic prompts
            than they are tested on (prompt.json:34-49).
        released_wording: ask and quote in the words of prompt.json where these differ from the
            paper's Appendix C (prompt.json:14, 24, 44, 46).
        raw_text_reward: rank negatives by the mean reward over raw prompt + response text in the
            run's precision, not the sum over response tokens (compute_scores.py:51-74).
        log_eps: add 1e-8 inside the logarithms of the contrastive score (OPPU_sft+dpo.py:163-166).
        review_without_text: leave the review text out of what RAG quotes (prompt.json:36).
        profile_as_list: quote history in the profile prompt as a Python list (gen_profile.py:139).
        split_on_blanks: BM25 compares the instruction with the records as they are quoted, both
            split at every single blank (OPPU.py:297-320).
    """

    name: Literal["paper", "reference"]
    split_templates: bool = False
    no_generation_prompt: bool = False
    reference_bos: bool = False
    parse_outputs: bool = False
    raw_task_input: bool = False
    train_wording: bool = False
    released_wording: bool = False
    raw_text_reward: bool = False
    log_eps: float | None = None
    review_without_text: bool = False
    profile_as_list: bool = False
    split_on_blanks: bool = False

    def changes(self) -> dict[str, Any]:
        """The switches that differ from the paper's, so that a new switch renames no run."""
        switches = {one.name: getattr(self, one.name) for one in fields(self)}
        usual = {one.name: one.default for one in fields(self)}
        return {k: v for k, v in switches.items() if k != "name" and v != usual[k]}


PAPER = Fidelity("paper")
REFERENCE = Fidelity(
    "reference",
    split_templates=True,
    no_generation_prompt=True,
    reference_bos=True,
    parse_outputs=True,
    raw_task_input=True,
    train_wording=True,
    released_wording=True,
    raw_text_reward=True,
    log_eps=1e-8,
    review_without_text=True,
    profile_as_list=True,
    split_on_blanks=True,
)
FIDELITIES: dict[str, Fidelity] = {setting.name: setting for setting in (PAPER, REFERENCE)}
