"""The lock of a recorded run."""

import threading

import pytest

from lampbench.record.run_lock import LOCKS, run_lock, run_lock_if_free
from lampbench.util.errors import LampbenchError


@pytest.fixture
def run(tmp_path):
    return tmp_path / "results" / "task" / "model" / "method" / "key"


def free_elsewhere(run):
    """Whether another thread can take the lock."""
    found = []

    def look():
        with run_lock_if_free(run) as free:
            found.append(free)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found[0]


def test_a_lock_is_held_until_the_end_and_may_be_taken_again_within(run, tmp_path):
    assert free_elsewhere(run)
    with run_lock(run), run_lock(run):
        assert (tmp_path / "results" / LOCKS / "key").is_file()
        assert not free_elsewhere(run)
        with run_lock_if_free(run) as free:
            assert free, "this thread holds it"
    assert free_elsewhere(run)


def test_a_lock_is_released_by_an_error(run):
    with pytest.raises(ZeroDivisionError), run_lock(run):
        raise ZeroDivisionError
    assert free_elsewhere(run)


def test_whoever_takes_a_lock_puts_right_what_was_left(run):
    aside = run.with_name(".old-key-0a1b2c3d")
    aside.mkdir(parents=True)
    (aside / "manifest.json").write_text("{}")
    with run_lock(run):
        assert (run / "manifest.json").exists() and not aside.exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "results").write_text("a file")
    refused = pytest.raises(LampbenchError, match="choose another folder with --results")
    with refused, run_lock(tmp_path / "results" / "task" / "model" / "method" / "key"):
        pass
    with run_lock_if_free(tmp_path / "results" / "a" / "b" / "c" / "key") as free:
        assert not free
