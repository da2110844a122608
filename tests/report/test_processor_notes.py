"""What tables say of runs that were made on different processors."""

import pytest

from tests.report.page.parsed import built
from tests.shared.recorded import of_users

SCORES = {"a": [0.1, 0.2], "b": [0.3, 0.4]}
GPU = {"system": "Linux", "cpu": "x", "cores": 1, "memory_gib": 1.0, "accelerator": "H200",
       "threads": 1}  # fmt: skip


CPU = {**GPU, "accelerator": None}


def runs_of(dtype, device=None):
    return {"model_details": {"dtype": dtype, "fingerprint": "f", "device": device}}


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_below_float32_a_table_names_the_runs_on_other_processors(scored, read, dtype):
    for seed in range(2):
        scored("oppu", SCORES, seed=seed, hardware=CPU, **runs_of(dtype))
    scored("oppu", SCORES, seed=2, hardware=GPU, **runs_of(dtype))
    scored("cope", SCORES, "review_writing", hardware=GPU, **runs_of(dtype))
    note = "Runs on H200: Review Writing; News Headline, seed 2. All others: a CPU."
    assert (note in read("main")) is (dtype == "bfloat16")


def test_methods_of_a_column_that_share_a_seed_are_told_apart(scored, read):
    """The column alone, or a seed, would speak of the runs on the CPU, too."""
    for seed in range(2):
        scored("oppu", SCORES, seed=seed, hardware=CPU, **runs_of("bfloat16"))
    scored("cope", SCORES, hardware=GPU, **runs_of("bfloat16"))
    scored("base", SCORES, hardware={**GPU, "accelerator": "B200"}, **runs_of("bfloat16"))
    note = (
        "Runs on B200: News Headline, Base (seed 0). Runs on H200: News Headline, CoPe (seed 0). "
        "All others: a CPU."
    )
    assert note in read("main")


def test_without_a_cpu_the_others_are_where_most_runs_are(scored, read):
    for seed in range(2):
        scored("oppu", SCORES, seed=seed, hardware=GPU, **runs_of("bfloat16"))
    scored("cope", SCORES, hardware={**GPU, "accelerator": "B200"}, **runs_of("bfloat16"))
    assert "Runs on B200: News Headline, CoPe (seed 0). All others: H200." in read("main")
    assert "Runs on B200: News Headline, CoPe (seed 0). All others: H200." in read("gains")


@pytest.mark.parametrize(
    "lacks",
    [
        {"hardware": None},
        runs_of(""),
        {"hardware": {**CPU, "threads": None}},
        {"hardware": CPU, **runs_of("bfloat16", device="auto")},
    ],
)
def test_what_is_not_known_is_not_called_a_cpu(scored, read, lacks):
    """The machine of a run that was made elsewhere, whether its rounding matters, and where answers
    were made that a run found in the cache.
    """
    scored("oppu", SCORES, hardware=GPU, **runs_of("bfloat16"))
    scored("cope", SCORES, **{**runs_of("bfloat16"), **lacks})
    assert "Runs on" not in read("main")


def test_others_whose_processor_is_not_known_are_not_called_a_cpu_either(scored, read):
    """As of a run by workers, whose own process loads no torch; what runs no model needs none."""
    scored("oppu", SCORES, hardware=GPU, **runs_of("bfloat16"))
    scored("tam", SCORES, hardware=CPU, **runs_of("bfloat16"))
    without = {"hardware": {**CPU, "threads": None}, **runs_of("bfloat16")}
    scored("rag", SCORES, stages=[{"stage": "predict"}], **without)
    assert "News Headline, OPPU (seed 0). All others: a CPU." in read("main")
    scored("cope", SCORES, stages=[{"stage": "predict", "new_tokens": 5}], **without)
    note = "News Headline, OPPU (seed 0). All others whose processor is known: a CPU."
    assert note in read("main")


def test_the_cpu_of_a_machine_with_a_gpu_is_a_cpu(scored, read):
    scored("oppu", SCORES, hardware=GPU, **runs_of("bfloat16"))
    scored("cope", SCORES, hardware=GPU, **runs_of("bfloat16", device="cpu"))
    assert "Runs on H200: News Headline, OPPU (seed 0). All others: a CPU." in read("main")


def test_a_gpu_that_torch_gives_no_name_is_called_by_its_device(scored, read):
    scored("oppu", SCORES, hardware=CPU, **runs_of("bfloat16", device="mps"))
    scored("cope", SCORES, hardware=CPU, **runs_of("bfloat16", device="cpu"))
    assert "Runs on mps: News Headline, OPPU (seed 0). All others: a CPU." in read("main")


def test_runs_on_one_kind_of_processor_need_no_note(scored, read):
    for method in ("oppu", "cope"):
        scored(method, SCORES, hardware=GPU, **runs_of("bfloat16"))
    assert "Runs on" not in read("main")


def test_the_page_names_them_too(scored):
    ours = scored("oppu", SCORES, hardware=GPU, **runs_of("bfloat16"))
    theirs = scored("cope", SCORES, hardware=CPU, **runs_of("bfloat16"))
    note = "Runs on H200: News Headline, OPPU (seed 0). All others: a CPU."
    assert note in built(ours, theirs).text


def test_lengths_of_histories_and_penalties_are_told_apart(scored, read):
    path = "decoding.repetition_penalty"
    for most, where in ((None, CPU), (2, GPU)):
        data = {"fingerprint": f"{most}", "cut_from": "None" if most else "",
                "options": {**of_users(None)["options"], "max_history": most}}  # fmt: skip
        scored("oppu", SCORES, dataset=data, key=f"{most}", hardware=where, **runs_of("bfloat16"))
    for value, where in ((2.0, CPU), (7.0, GPU)):
        scored("tam", SCORES, hardware=where, overrides={} if value == 2.0 else {path: value},
               hyperparameters={path: {"value": value, "source": "x"}}, key=f"{value}",
               **runs_of("bfloat16"))  # fmt: skip
    assert "Runs on H200: OPPU, 2 (seed 0). All others: a CPU." in read("history")
    assert "Runs on H200: TAM, 7.0 (seed 0). All others: a CPU." in read("penalty")


def test_the_leaderboards_summary_of_models_names_them(scored, read):
    for model, where in (("bundled", GPU), ("other", CPU)):
        scored("oppu", SCORES, model=model, key=model, hardware=where, **runs_of("bfloat16"))
    assert "Runs on H200: News Headline, bundled. All others: a CPU." in read("leaderboard")


def test_a_sweep_names_its_values_on_another_processor(scored, read):
    values = {"decoding.alpha": {"value": 1.0, "source": "somewhere"}}
    scored("oppu", SCORES, hardware=CPU, **runs_of("bfloat16"))
    scored("oppu", SCORES, hardware=GPU, hyperparameters=values, overrides={"decoding.alpha": 1.0},
           key="other", **runs_of("bfloat16"))  # fmt: skip
    assert "Runs on H200: News Headline, 1.0 (seed 0). All others: a CPU." in read("sensitivity")
