"""Batch sizes from the free memory of the device."""

from lampbench.engine.batched.batch_size import BatchPlanner


def test_slots_depend_on_the_free_memory(engine, monkeypatch):
    planner = BatchPlanner(engine()._model)
    free: dict[str, int] = {}
    monkeypatch.setattr(
        "lampbench.engine.batched.batch_size.free_memory", lambda device: free["bytes"]
    )
    # llama: 2 layers x 2 heads x 8 x (key, value) x 4 bytes, 100 tokens: 51,200 bytes a row,
    # and for a vocabulary of 360 scores; each of two rows and an adapter of 1000 numbers
    vocabulary = engine()._model.config.vocab_size
    each = 2 * (2 * 2 * 2 * 8 * 4 * 100 + 16 * vocabulary) + 4 * 1000 + vocabulary
    for room, slots in [(10, 1), (each, 1), (5 * each, 5), (5 * each - 1, 4), (10**12, 30)]:
        free["bytes"] = room
        assert planner.decoding_slots(30, 2, 100, 1000) == slots
    free["bytes"] = 10**12
    assert (
        planner.decoding_slots(1000, 2, 100, 1000) == planner.decoding_slots(1000, 1, 100, 0) // 2
    )
    assert BatchPlanner(engine()._model, 6).decoding_slots(30, 2, 100, 0) == 3
    assert planner.training_slots(5, 1000) == 5
    free["bytes"] = 4 * 16 * 1000 * 3
    assert planner.training_slots(5, 1000) == 3
    free["bytes"] = 0
    assert planner.training_slots(5, 1000) == 1


def test_the_bounds_of_a_pass_are_told_as_given_or_measured(engine):
    planner = BatchPlanner(engine()._model)
    vocabulary = engine()._model.config.vocab_size
    assert planner.bounds == {
        "decoding_rows": 128, "pass_tokens": 1024, "pass_labels": (1 << 24) // vocabulary,
        "adapters_in_training": 64,
    }  # fmt: skip
    assert BatchPlanner(engine()._model, 6).bounds["decoding_rows"] == 6
