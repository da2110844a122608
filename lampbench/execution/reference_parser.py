"""The reference code's output parsing, applied to the baselines but not to CoPe.

Used only with `--fidelity reference`. By default every method's new tokens are decoded alone and
nothing is cut out of them, because a parser that treats methods differently changes their scores.
"""

from lampbench.core.prompt import Prompt
from lampbench.core.task import Task
from lampbench.plugin.method import Method
from lampbench.plugin.weighted_sides import Contrastive


def reference_parse(task: Task, method: Method, model: str, prompt: Prompt, answer: str) -> str:
    """What the reference code (utils.py:207-249) would score.

    It decodes prompt and answer together and searches for the answer: after the last marker
    (`headline:`) for Mistral; for every other model, what the task's `reference_parsing` says: all
    text after the marker, the last line in quotes, or the first line numbered 1. A missing marker
    gives the empty answer. A prompt that ends in no marker is none of that code's, and nothing is
    cut out of its answer.
    """
    marker = task.template.split()[-1]
    if isinstance(method.decoding, Contrastive) or "{" in marker:
        return answer.strip()
    whole = prompt.text + answer
    after = whole.rpartition(marker)
    found = after[2].strip() if after[1] else ""
    if "mistral" in model.lower() or task.reference_parsing == "after marker":
        return _unquoted(found)
    lines = whole.strip().splitlines()
    quoted = [line.strip() for line in lines if line.strip()[:1] == '"' or line.strip()[-1:] == '"']
    last = lines[-1].strip() if lines else ""
    if task.reference_parsing == "numbered line":
        numbered = [line.strip() for line in lines if line.strip().startswith("1.")]
        return _unquoted(numbered[0][2:] if numbered else last)
    return _unquoted(quoted[-1] if quoted else last)


def _unquoted(text: str) -> str:
    return text.strip().strip('"').strip("'")
