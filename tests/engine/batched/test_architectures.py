"""The whole of CoPe on each architecture, under its own chat template and the paper's."""

import dataclasses

import pytest

from lampbench.core.fidelity import REFERENCE
from lampbench.engine.protocol import (
    Contrast,
    DPOSpec,
    GenerateRequest,
    GenerationSpec,
    Sampling,
    ScoreRequest,
)
from tests.engine.engine_inputs import MODELS, OPTIM, TASK_LORA, job, no_hook, preferences, prompt

EACH = [
    (name, options)
    for name in MODELS
    for options in (
        {},
        {"chat_template": name.removesuffix("-vision")},
        {"fidelity": REFERENCE},
    )
]


@pytest.mark.parametrize(("name", "options"), EACH, ids=str)
def test_cope_from_end_to_end(engine, tmp_path, name, options):
    """TAM, OPPU, negatives from TAM, their rewards, DPO against TAM, contrastive answers."""
    made = engine(name, **options)
    optim = dataclasses.replace(OPTIM, epochs=1)
    tam = job(tmp_path, "tam", adapter=TASK_LORA, optim=optim)
    oppu = job(tmp_path, "oppu", frozen=(tam.output,), optim=optim)
    list(made.train([tam], no_hook))
    list(made.train([oppu], no_hook))
    base, user = (tam.output,), (tam.output, oppu.output)

    sampled = GenerationSpec(6, sampling=Sampling(1.0, 1.0))
    asked = [GenerateRequest(str(i), prompt(i), base, sampled, 3, seed=i) for i in range(2)]
    negatives = list(made.generate(asked))
    assert len(negatives) == 6
    scores = [
        {s.id: sum(s.logprobs) for s in made.score([
            ScoreRequest(f"{c.id}/{c.sample}", prompt(int(c.id)), c.text, weights)
            for c in negatives
        ])}
        for weights in (user, base)
    ]  # fmt: skip
    assert any(abs(scores[0][key] - scores[1][key]) > 1e-3 for key in scores[0])

    cope = job(tmp_path, "cope", data=preferences(3), frozen=base, start=oppu.output, optim=optim,
               dpo=DPOSpec(0.1, base))  # fmt: skip
    (result,) = made.train([cope], no_hook)
    assert result.margins[0] != 0
    spec = GenerationSpec(6, 1.2, contrast=Contrast(base, 0.3, 0.1))
    (answer,) = made.generate([GenerateRequest("q", prompt(), (*base, cope.output), spec)])
    bos = made._encoder.tokenizer.bos_token_id
    twice = "fidelity" in options and name != "qwen"
    assert answer.prompt_head.count(bos) == (2 if twice else bos is not None)
    assert answer.token_ids or not answer.truncated
