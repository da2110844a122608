"""Where the `lampbench` command and `python -m lampbench` begin.

Until the commands are imported, a signal ends the process at once: nothing has been done yet.
"""

# The module that the interpreter has built in: `signal` would first import others.
import _signal  # type: ignore[import-not-found]
import os

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def _leave(number: int, frame: object) -> None:
    os.write(2, b"Interrupted.\n")
    os._exit(128 + number)


def main() -> None:
    """Run the command line and leave with its exit code; see `lampbench.cli.main.main`."""
    for name in _SIGNALS:
        if number := getattr(_signal, name, None):
            _signal.signal(number, _leave)
    from lampbench.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
