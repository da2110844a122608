"""Workers on a Ray cluster: one task per shard, over the same commands as local workers."""

import contextlib
import importlib
import logging
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lampbench.execution.shard import Shard
from lampbench.util.errors import LampbenchError
from lampbench.util.progress import Progress
from lampbench.util.terminal import message_line
from lampbench.workers.crew import RETRIES, Ending, Event
from lampbench.workers.probe import Need, enter, problem_of
from lampbench.workers.worker_progress import crew_display

_LOOK = 0.2  # seconds between two looks at what workers report
_ANSWER = 5.0  # seconds that a cluster has to accept a connection
_OFTEN = 0.5  # seconds between two reports of one worker's progress
_PROBE = 180.0  # seconds that nodes have to answer the first question, imports included


@dataclass
class RayCrew:
    """Runs a command as shards on a Ray cluster.

    `arguments` are those of the command and `work` of the module named `module` runs them; `count`
    is the number of shards, None for one per GPU or core; `address` is that of the cluster, None
    for a new one on this machine; `need` is what every node must have.
    """

    arguments: Sequence[str]
    module: str
    count: int | None
    address: str | None
    need: Need

    def carry_out(self, progress: Progress) -> list[str]:
        """Let the workers do every shard; see `Crew`."""
        ray = _ray()
        with _cluster(ray, self.address):
            nodes = self._probe(ray)
            gpus = int(ray.cluster_resources().get("GPU", 0)) if self.need.device != "cpu" else 0
            cores = int(ray.cluster_resources().get("CPU", 1))
            count = self.count or gpus or cores
            resources: dict[str, float] = {"num_gpus": 1} if gpus else {"num_cpus": 1}
            if not gpus and count < cores:
                resources["num_cpus"] = cores // count
            progress.say(f"Ray: {count} shards on {len(nodes)} nodes")
            return _Shards(ray, self, count, resources, progress).carry_out()

    def _probe(self, ray: Any) -> list[str]:
        """Ask every node whether it has what is needed; their hosts.

        Raises:
            LampbenchError: one has not, or does not answer.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        need, hosts = self.need, []

        # a function inside another travels by value: the node may be without lampbench
        def probe() -> Any:
            try:
                from lampbench.workers.probe import look_around
            except ImportError as error:
                return str(error)
            return look_around(need)

        with need.token():
            asked = {}
            for node in ray.nodes():
                if node["Alive"]:
                    place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                    task = ray.remote(num_cpus=0, max_retries=0)(probe)
                    host = node.get("NodeManagerHostname", node["NodeID"])
                    asked[task.options(scheduling_strategy=place).remote()] = host
            ended, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_PROBE)
            for ref, host in asked.items():
                if ref not in ended:
                    raise LampbenchError(
                        f"Ray node {host}: did not answer in {_PROBE:.0f} s; look at `ray status`"
                    )
                hosts.append(host)
                if problem := problem_of(ray.get(ref), need):
                    raise LampbenchError(f"Ray node {host}: {problem}")
        return hosts


class _Shards:
    """The shards of one command as Ray tasks."""

    def __init__(
        self,
        ray: Any,
        crew: RayCrew,
        count: int,
        resources: Mapping[str, float],
        shown: Progress,
    ) -> None:
        self._ray, self._crew, self._count = ray, crew, count
        self._display = crew_display(shown)
        self._mailbox = ray.remote(num_cpus=0)(_Mailbox).remote()
        self._task = ray.remote(max_retries=0, **resources)(_carry_out_shard)
        self._running: dict[Any, int] = {}
        self._failures: list[str] = []

    def carry_out(self) -> list[str]:
        """Do every shard; one line for each that failed."""
        tries = dict.fromkeys(range(self._count), 0)
        for index in tries:
            self._start(index)
        try:
            while self._running:
                ended, _ = self._ray.wait(list(self._running), timeout=_LOOK)
                for index, event in self._ray.get(self._mailbox.taken.remote()):
                    self._display.take(index, event)
                for ref in ended:
                    index = self._running.pop(ref)
                    self._display.leave(index)
                    ending = self._ending(ref)
                    if ending is None and tries[index] < RETRIES:
                        tries[index] += 1
                        self._display.say(
                            f"the worker of shard {index}/{self._count} died; begun again "
                            f"({tries[index]} of {RETRIES})"
                        )
                        self._start(index)
                        continue
                    self._note(index, ending or Ending(1, f"its worker died {RETRIES + 1} times"))
        finally:
            for ref in self._running:
                self._ray.cancel(ref, force=True)
        return self._failures

    def _start(self, index: int) -> None:
        crew, shard = self._crew, (index, self._count)
        ref = self._task.remote(
            crew.module,
            list(crew.arguments),
            shard,
            self._mailbox,
            crew.need.folder,
            bool(crew.need.store),
        )
        self._running[ref] = index

    def _ending(self, ref: Any) -> Ending | None:
        """How a shard ended; None where its worker or node died."""
        errors = self._ray.exceptions
        try:
            code, error = self._ray.get(ref)
        except errors.RayTaskError as fault:
            return Ending(1, str(fault).strip().splitlines()[-1])
        except errors.RayError:  # the worker, its node, or the memory of either
            return None
        return Ending(code, error)

    def _note(self, index: int, ending: Ending) -> None:
        if ending.code:
            self._failures.append(f"shard {index}/{self._count}: {ending.error}")
            self._display.say(f"{self._failures[-1]}; the other shards are carried out")


class _Mailbox:
    """What workers have reported and the driver has not taken yet."""

    def __init__(self) -> None:
        self._events: list[tuple[int, Event]] = []

    def put(self, index: int, event: Event) -> None:
        self._events.append((index, event))

    def taken(self) -> list[tuple[int, Event]]:
        events, self._events = self._events, []
        return events


def _carry_out_shard(
    module: str,
    arguments: list[str],
    shard: tuple[int, int],
    mailbox: Any,
    folder: str,
    made: bool,
) -> tuple[int, str]:
    """What a Ray worker does: the command in the driver's folder, which may be `made` there."""
    last = 0.0

    def emit(event: Event) -> None:
        nonlocal last
        if event["kind"] == "update":
            if time.monotonic() - last < _OFTEN:
                return
            last = time.monotonic()
        mailbox.put.remote(shard[0], dict(event))

    enter(folder, made=made)
    ending = importlib.import_module(module).work(arguments, Shard(*shard), emit)
    return ending.code, ending.error


def _ray() -> Any:
    """The package.

    Raises:
        LampbenchError: it is not installed.
    """
    try:
        import ray
    except ImportError:
        raise LampbenchError(
            "--executor ray needs the package ray: pip install 'lampbench[ray]'"
        ) from None
    return ray


@contextlib.contextmanager
def _cluster(ray: Any, address: str | None) -> Iterator[None]:
    """A connection to a cluster, or a new one on this machine; closed at the end.

    Raises:
        LampbenchError: no cluster of the same versions is there.
    """
    if address and ":" in address and "://" not in address:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_ANSWER).close()
        except (OSError, ValueError, OverflowError):
            raise _no_cluster(address) from None
    try:
        ray.init(
            address=address or "local", include_dashboard=False if not address else None,
            logging_level=logging.ERROR, log_to_driver=False,
        )  # fmt: skip
    except (ConnectionError, ValueError) as error:
        if address:
            raise _no_cluster(address) from None
        raise LampbenchError(f"Ray cannot be started on this machine: {error}") from error
    except RuntimeError as error:  # other versions of Ray or Python there
        told = " ".join(str(error).split())
        raise LampbenchError(f"--address {_shown(address)}: {told}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _no_cluster(address: str) -> LampbenchError:
    return LampbenchError(
        f"--address {_shown(address)}: no Ray cluster answers there; start one with "
        "`ray start --head`, or leave --address out for one on this machine"
    )


def _shown(address: str | None) -> str:
    return message_line(str(address), 60)
