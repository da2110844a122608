"""How long a store's list of keys is believed."""

from lampbench.execution.remote_store import RemoteStore


class Clock:
    """A clock that a test sets, and that goes on while a list is read."""

    def __init__(self):
        self.now, self.reading = 1000.0, 0.0

    def __call__(self):
        return self.now


def store(tmp_path, monkeypatch):
    """A store with a kind of artifacts, its clock, and how often its list was read."""
    clock, read = Clock(), []
    found = RemoteStore(f"file://{tmp_path}/store", clock)
    names = found._names

    def counted(*parts):
        read.append(parts)
        clock.now += clock.reading
        return names(*parts)

    monkeypatch.setattr(found, "_names", counted)
    return found, clock, read


def publish(tmp_path, key):
    """What another machine does."""
    (tmp_path / "store/kind" / key).mkdir(parents=True)


def test_a_list_is_read_once_for_many_artifacts_and_again_after_seconds(tmp_path, monkeypatch):
    remote, clock, read = store(tmp_path, monkeypatch)
    assert not any(remote.may_have("kind", f"k{number}") for number in range(100))
    assert len(read) == 1
    publish(tmp_path, "k1")
    clock.now += 5.0
    assert remote.may_have("kind", "k1") and len(read) == 2


def test_a_list_that_takes_long_is_believed_ten_times_as_long(tmp_path, monkeypatch):
    remote, clock, read = store(tmp_path, monkeypatch)
    clock.reading = 30.0
    assert not remote.may_have("kind", "k1")
    clock.now += 290.0
    assert not remote.may_have("kind", "k1") and len(read) == 1
    publish(tmp_path, "k1")
    clock.now += 20.0
    assert remote.may_have("kind", "k1") and len(read) == 2
