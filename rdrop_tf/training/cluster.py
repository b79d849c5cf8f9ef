"""The machines that train together, as the environment of each process describes them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PORT = 2222


@dataclass(frozen=True)
class Cluster:
    """The processes of one training, and which of them this is.

    Args:
        workers: Address and port of each, in the order of their numbers.
        index: The number of this one, from 0; number 0 is the chief, which writes the files.

    Raises:
        ValueError: If an address has no port or stands twice, or `index` is none of them.

    Example:
    >>> Cluster(("a:2222", "b:2222"), index=1).is_chief
    False
    """

    workers: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        wrong = [address for address in self.workers if not _is_address(address)]
        if not self.workers or wrong or len(set(self.workers)) < len(self.workers):
            raise ValueError(
                "a cluster needs a different HOST:PORT for each of its workers. "
                f"Received: {', '.join(self.workers) or 'none'}"
            )
        if not 0 <= self.index < len(self.workers):
            raise ValueError(
                "a worker's number must be one of its cluster's. "
                f"Received: {self.index} for {len(self.workers)} workers, counted from 0"
            )

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files."""
        return self.index == 0


def find_cluster(environment: Mapping[str, str] | None = None) -> Cluster:
    """Reads which processes train together from the environment that a scheduler has set.

    The first of these that is there:

    - `TF_CONFIG`, as Kubeflow's training operator sets it, or by hand: `{"cluster": {"worker":
      ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}`; a `chief` is number 0.
    - `WORKER_HOSTS`, all addresses with commas between, and the number of this process in
      `WORKER_INDEX` or, in an indexed job of Kubernetes, `JOB_COMPLETION_INDEX`.
    - Slurm's `SLURM_STEP_NODELIST`, `SLURM_STEP_TASKS_PER_NODE` and `SLURM_PROCID`, as `srun`
      sets them. Ports begin at 2222, or at `WORKER_PORT`, on each node.

    Args:
        environment: The variables; those of the process unless given.

    Returns:
        The cluster.

    Raises:
        ValueError: If none is there, or one cannot be read.

    Example:
    >>> find_cluster({"WORKER_HOSTS": "a:2222,b:2222", "WORKER_INDEX": "1"})
    Cluster(workers=('a:2222', 'b:2222'), index=1)
    """
    environment = os.environ if environment is None else environment
    if environment.get("TF_CONFIG"):
        return _from_tf_config(environment["TF_CONFIG"])
    if environment.get("WORKER_HOSTS"):
        return _from_hosts(environment)
    if environment.get("SLURM_STEP_NODELIST"):
        return _from_slurm(environment)
    raise ValueError(
        "several workers must be told of each other by TF_CONFIG, by WORKER_HOSTS with "
        "WORKER_INDEX or JOB_COMPLETION_INDEX, or by srun of Slurm. "
        "Received: an environment with none of them"
    )


def _from_tf_config(text: str) -> Cluster:
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        chiefs, workers = list(jobs.get("chief", [])), list(jobs.get("worker", []))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            'TF_CONFIG must be {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": '
            f'"worker", "index": 0}}}}. Received: {text}'
        ) from error
    if kind not in ("chief", "worker") or set(jobs) - {"chief", "worker"}:
        raise ValueError(
            "all processes of a training are workers, of which one may be called the chief. "
            f"Received: a TF_CONFIG for {kind!r} in a cluster of {', '.join(sorted(jobs))}"
        )
    return Cluster((*chiefs, *workers), index + (len(chiefs) if kind == "worker" else 0))


def _from_hosts(environment: Mapping[str, str]) -> Cluster:
    names = ("WORKER_INDEX", "JOB_COMPLETION_INDEX")
    given = [environment[name] for name in names if environment.get(name)]
    if not given or not given[0].isdecimal():
        raise ValueError(
            "beside WORKER_HOSTS stands the number of the process, from 0, in WORKER_INDEX or "
            f"JOB_COMPLETION_INDEX. Received: {given[0] if given else 'neither'}"
        )
    workers = (host.strip() for host in environment["WORKER_HOSTS"].split(","))
    return Cluster(tuple(host for host in workers if host), int(given[0]))


def _from_slurm(environment: Mapping[str, str]) -> Cluster:
    nodes, tasks, rank, first = (
        environment.get(name, "")
        for name in (
            "SLURM_STEP_NODELIST",
            "SLURM_STEP_TASKS_PER_NODE",
            "SLURM_PROCID",
            "WORKER_PORT",
        )
    )
    first = first or str(PORT)
    try:
        counts = zip(expand_hosts(nodes), expand_tasks(tasks), strict=True)
        places = [(host, place) for host, count in counts for place in range(count)]
        workers = tuple(f"{host}:{int(first) + place}" for host, place in places)
        index = int(rank)
    except ValueError as error:
        raise ValueError(
            "srun must say how many tasks run on each node, and which this one is. Received: "
            f"SLURM_STEP_NODELIST={nodes}, SLURM_STEP_TASKS_PER_NODE={tasks or None}, "
            f"SLURM_PROCID={rank or None}, WORKER_PORT={first}"
        ) from error
    return Cluster(workers, index)


def expand_hosts(text: str) -> list[str]:
    """Writes out Slurm's short form of a list of nodes, in its order.

    Args:
        text: Such as `gpu[1-3,7],head`.

    Example:
    >>> expand_hosts("gpu[08-10],head")
    ['gpu08', 'gpu09', 'gpu10', 'head']
    """
    hosts: list[str] = []
    for part in _parts(text):
        before, bracket, rest = part.partition("[")
        if not bracket:
            hosts.append(part)
            continue
        inside, _, after = rest.partition("]")
        numbers = [number for each in inside.split(",") for number in _numbers(each)]
        hosts += [
            before + number + end for number in numbers for end in expand_hosts(after) or [""]
        ]
    return hosts


def expand_tasks(text: str) -> list[int]:
    """Writes out Slurm's short form of the tasks of each node.

    Args:
        text: Such as `4(x2),3`: two nodes with 4 tasks and one with 3.

    Example:
    >>> expand_tasks("4(x2),3")
    [4, 4, 3]
    """
    tasks: list[int] = []
    for part in filter(None, text.split(",")):
        count, _, times = part.removesuffix(")").partition("(x")
        tasks += [int(count)] * int(times or 1)
    return tasks


def _parts(text: str) -> list[str]:
    """Splits at the commas outside of brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += {"[": 1, "]": -1}.get(sign, 0)
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return [part for part in parts if part]


def _numbers(text: str) -> list[str]:
    """Writes out 08-10, with its zeros."""
    first, _, last = text.partition("-")
    return [f"{n:0{len(first)}}" for n in range(int(first), int(last or first) + 1)]


def _is_address(address: Any) -> bool:
    if not isinstance(address, str):
        return False
    host, _, port = address.rpartition(":")
    return bool(host) and port.isdecimal()
