"""A worker of `lampbench.run`, `run_all`, `sweep` or `reproduce`: makes the answers of one shard.

The driver starts it as `python -m lampbench.api.worker SHARD` and gives it the call on standard
input, or Ray calls `work`.
"""

import sys

from lampbench.api.executing import execute_all
from lampbench.api.reproducing import planned
from lampbench.api.worker_call import WorkerCall
from lampbench.execution.shard import Shard
from lampbench.util.disk import is_full
from lampbench.util.errors import LampbenchError
from lampbench.util.interrupt import Stopped, stopping_on_signals
from lampbench.workers.crew import Emit, Ending, Processes
from lampbench.workers.serve import serve
from lampbench.workers.worker_progress import report_to


def work(arguments: list[str], shard: Shard, emit: Emit) -> Ending:
    """Carry out a `WorkerCall` for one shard: answers are stored, and no run is recorded."""
    report_to(emit)
    try:
        with stopping_on_signals():
            call = WorkerCall.read(arguments[0])
            processes = Processes(shard, worker=True)
            execute_all(planned(call), call.results, "", force=call.force, processes=processes)
    except LampbenchError as error:
        return Ending(2, str(error))
    except Stopped as error:
        return Ending(error.code, f"interrupted ({error})")
    except OSError as error:
        told = "no space left" if is_full(error) else str(error.strerror)
        return Ending(2, f"{error.filename}: {told}" if error.filename else told)
    except Exception as error:
        return Ending(1, f"bug in lampbench or a plugin: {type(error).__name__}: {error}")
    finally:
        report_to(None)
    return Ending(0)


if __name__ == "__main__":
    serve(work, sys.argv[1:])
