"""Where the `lampbench` command and `python -m lampbench` begin.

Importing this module has one effect, at once: until the commands are imported, a signal ends the
process with one line. Nothing has been done by then.
"""

# The module that the interpreter has built in: `signal` would first import others.
import _signal  # type: ignore[import-not-found]


def _leave(number: int, frame: object) -> None:
    import os

    os.write(2, b"Interrupted.\n")
    os._exit(128 + number)


for _name in ("SIGINT", "SIGTERM", "SIGHUP"):
    if _number := getattr(_signal, _name, None):
        _signal.signal(_number, _leave)


def main() -> None:
    """Run the command line and leave with its exit code; see `lampbench.cli.main.main`."""
    from lampbench.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
