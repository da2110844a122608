"""Which adapters a server holds: what is in use stays, and no other process's are touched."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lampbench.engine.vllm.served_adapters import AdapterFolders, ServedAdapters


def test_an_adapter_that_is_dropped_while_it_waits_is_written_again(
    engine, random_adapters, tmp_path
):
    """Another thread unloads the same adapter between its writing and its loading."""
    made = engine()
    loaded: list[list[str]] = []

    class Dropping(AdapterFolders):
        def of(self, weights):
            found = super().of(weights)
            if not dropped:
                dropped.append(found)
                self.drop(found.name)
            return found

    def post(path, body, **_):
        loaded.append(sorted(file.name for file in Path(body["lora_path"]).iterdir()))

    dropped: list[Path] = []
    server: Any = SimpleNamespace(client=SimpleNamespace(post=post))
    folders = Dropping(tmp_path, made._model, made._base)
    with ServedAdapters(server, folders, 1).use(random_adapters()[:1]) as name:
        assert name == dropped[0].name
    assert loaded == [["adapter_config.json", "adapter_model.safetensors"]]


def test_an_adapter_that_is_loaded_again_is_in_use_until_its_new_requests_end(
    engine, random_adapters, tmp_path
):
    """Somebody unloads it; the requests that were under way before end after it is loaded again."""
    made = engine()
    client = SimpleNamespace(post=lambda path, body, **_: None, get=lambda path: {"data": []})
    folders = AdapterFolders(tmp_path, made._model, made._base)
    adapters = ServedAdapters(SimpleNamespace(client=client), folders, 1)
    weights = random_adapters()[:1]
    before, after = ExitStack(), ExitStack()
    for _ in range(2):
        before.enter_context(adapters.use(weights))
    adapters.refresh()
    after.enter_context(adapters.use(weights))
    before.close()
    assert not adapters._has_room()
    after.close()
    assert adapters._has_room()


def test_two_processes_that_share_a_server_have_names_of_their_own(
    engine, random_adapters, tmp_path
):
    made, weights = engine(), random_adapters()[:1]
    first, second = (
        AdapterFolders(tmp_path / name, made._model, made._base).of(weights) for name in "ab"
    )
    assert first.name != second.name
    assert first.name.rpartition("-")[2] == second.name.rpartition("-")[2]
