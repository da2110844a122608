"""Jobs in threads: bounded, complete, ended by the first failure."""

import threading
import time

import pytest

from lampbench.engine.openai.parallel import Abandoned, in_parallel


def test_every_job_gives_its_result_and_few_are_under_way():
    now, most, lock = [], [], threading.Lock()
    all_four = threading.Barrier(4)

    def work(job, stop):
        with lock:
            now.append(job)
            most.append(len(now))
        all_four.wait(60)
        with lock:
            now.remove(job)
        return job * job

    found = dict(in_parallel(work, range(40), 4))
    assert found == {n: n * n for n in range(40)}
    assert max(most) == 4


def test_what_is_under_way_is_finished_before_the_failure_is_raised():
    begun, together = [], threading.Barrier(4)

    def work(job, stop):
        begun.append(job)
        together.wait(60)
        if job == 2:
            raise ValueError("two")
        if job == 3:
            stop.wait(60)
            raise Abandoned
        time.sleep(0.1)
        return job

    found: list[int] = []
    with pytest.raises(ValueError, match="two"):
        found.extend(job for job, _ in in_parallel(work, range(100), 4))
    assert sorted(found) == [0, 1]
    assert sorted(begun) == [0, 1, 2, 3]


def test_an_interruption_waits_for_no_job():
    hold = threading.Event()

    def work(job, stop):
        if job:
            hold.wait(60)
        return job

    results = in_parallel(work, range(3), 3)
    assert next(results) == (0, 0)
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < 30
    hold.set()


def test_nothing_to_do():
    assert list(in_parallel(lambda job, stop: job, [], 4)) == []
