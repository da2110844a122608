import os
import signal

import pytest

from lampbench.util.interrupt import Stopped, stopping_on_signals, unbroken


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_process_with_its_code(number, code):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped, stopping_on_signals():
        os.kill(os.getpid(), number)
    assert stopped.value.code == code
    assert signal.getsignal(number) is before


def test_a_section_is_finished_first():
    steps = []
    with pytest.raises(Stopped), stopping_on_signals():
        for step in range(5):
            with unbroken():
                if step == 2:
                    os.kill(os.getpid(), signal.SIGTERM)
                with unbroken():
                    pass
                steps.append(step)
    assert steps == [0, 1, 2]


def test_a_second_signal_does_not_wait():
    done = []
    with pytest.raises(Stopped), stopping_on_signals(), unbroken():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append(1)
        os.kill(os.getpid(), signal.SIGTERM)
        done.append(2)
    assert done == [1]


def test_nothing_waits_in_the_next_process_of_the_test():
    with stopping_on_signals(), unbroken():
        pass
