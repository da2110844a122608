"""A process between lampbench and a server: the server ends when lampbench does, however it ends.

Run as a program with the server's command as arguments. It starts the command in a process group of
its own, writes the group's number to standard output, and ends the whole group when its standard
input is closed (which the system does when lampbench is killed) or when the server ends.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_GRACE_SECONDS = 10.0


def main(command: list[str]) -> int:
    """Run the command to its end; the exit code is the command's."""
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )
    print(server.pid, flush=True)
    threading.Thread(target=_end_with_input, args=(server,), daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # lampbench says when: it closes the input
    code = server.wait()
    _signal_group(server.pid, signal.SIGKILL)  # its workers must not outlive it
    return code if code >= 0 else 128 - code


def _end_with_input(server: "subprocess.Popen[bytes]") -> None:
    while os.read(0, 1024):  # not through sys.stdin, whose lock would break the end of this process
        pass
    _signal_group(server.pid, signal.SIGTERM)
    try:
        server.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _signal_group(server.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
