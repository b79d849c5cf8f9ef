"""Recorded environments of schedulers, and who is who in them."""

import json
import os
from typing import Any

import pytest

from rdrop_tf.training.cluster import Cluster, expand_hosts, expand_tasks, find_cluster

pytestmark = pytest.mark.one_backend

# What Kubeflow's training operator sets in the pods of a TFJob with two workers.
KUBEFLOW = {
    "cluster": {"worker": ["run-worker-0.team.svc:2222", "run-worker-1.team.svc:2222"]},
    "task": {"type": "worker", "index": 1},
    "environment": "cloud",
}
# What srun sets in the fourth task of five on three nodes.
SLURM = {
    "SLURM_JOB_ID": "811",
    "SLURM_STEP_NODELIST": "gpu[9-11]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_NTASKS": "5",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}
# A pod of an indexed job, with the addresses that a headless service gives.
KUBERNETES = {
    "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    "JOB_COMPLETION_INDEX": "2",
    "WORKER_HOSTS": "run-workers-0-0.run:2222,run-workers-0-1.run:2222,run-workers-0-2.run:2222",
}


def tf_config(**changes: Any) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({**KUBEFLOW, **changes})}


def test_kubeflow() -> None:
    found = find_cluster(tf_config())
    assert found == Cluster(("run-worker-0.team.svc:2222", "run-worker-1.team.svc:2222"), 1)
    assert not found.is_chief


def test_a_chief_is_number_0() -> None:
    jobs = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    chief = find_cluster(tf_config(cluster=jobs, task={"type": "chief", "index": 0}))
    last = find_cluster(tf_config(cluster=jobs, task={"type": "worker", "index": 1}))
    assert chief.workers == last.workers == ("a:1", "b:1", "c:1")
    assert (chief.index, chief.is_chief, last.index) == (0, True, 2)


def test_kubernetes() -> None:
    found = find_cluster(KUBERNETES)
    assert found.index == 2
    assert found.workers[2] == "run-workers-0-2.run:2222"


def test_slurm_counts_ranks_over_the_nodes_in_their_order() -> None:
    found = find_cluster(SLURM)
    assert found.workers == ("gpu9:2222", "gpu9:2223", "gpu10:2222", "gpu10:2223", "gpu11:2222")
    assert found.index == 3


def test_a_port_of_ones_own() -> None:
    assert find_cluster({**SLURM, "WORKER_PORT": "9000"}).workers[1] == "gpu9:9001"


def test_tf_config_comes_first() -> None:
    assert len(find_cluster({**SLURM, **KUBERNETES, **tf_config()}).workers) == 2
    assert len(find_cluster({**SLURM, **KUBERNETES}).workers) == 3


@pytest.mark.tensorflow
@pytest.mark.parametrize("nodes", ["n[08-10]", "a,b,c", "rack1n[1-2],rack2n7", "x[1,3,5-6]"])
@pytest.mark.parametrize("tasks", ["2", "1(x2),3", "4(x2),3(x1)"])
def test_slurms_short_forms_are_read_as_tensorflow_reads_them(nodes: str, tasks: str) -> None:
    from tensorflow.python.distribute.cluster_resolver import slurm_cluster_resolver as reference

    assert expand_hosts(nodes) == reference.expand_hostlist(nodes)
    assert expand_tasks(tasks) == reference.expand_tasks_per_node(tasks)


@pytest.mark.tensorflow
def test_a_cluster_of_slurm_is_that_of_tensorflows_resolver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the names of the nodes sort as they stand; else it gives ranks to the wrong node."""
    import tensorflow as tf

    environment = {**SLURM, "SLURM_STEP_NODELIST": "gpu[07-09]"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=2222, gpus_per_node=2, gpus_per_task=1, auto_set_gpu=False
    )
    found = find_cluster(environment)
    assert resolver.cluster_spec().as_dict() == {"worker": list(found.workers)}
    assert resolver.get_task_info() == ("worker", found.index)


def test_slurms_names_with_two_lists() -> None:
    assert expand_hosts("r[1-2]n[3-4]") == ["r1n3", "r1n4", "r2n3", "r2n4"]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PATH": "/bin"}, "must be told of each other by TF_CONFIG.*with none of them"),
        ({"TF_CONFIG": "{worker}"}, r'TF_CONFIG must be \{"cluster".*Received: \{worker\}'),
        ({"TF_CONFIG": "[]"}, "TF_CONFIG must be"),
        (tf_config(task={"type": "ps", "index": 0}), "all processes of a training are workers.*ps"),
        (
            tf_config(cluster={"worker": ["a:1"], "ps": ["b:1"]}),
            "Received: a TF_CONFIG for 'worker' in a cluster of ps, worker",
        ),
        (tf_config(task={"type": "worker", "index": 2}), "Received: 2 for 2 workers"),
        ({"WORKER_HOSTS": "a:1,b:1"}, "WORKER_INDEX or JOB_COMPLETION_INDEX. Received: neither"),
        ({"WORKER_HOSTS": "a:1,b:1", "WORKER_INDEX": "-1"}, "Received: -1"),
        ({"WORKER_HOSTS": "a:1,a:1", "WORKER_INDEX": "0"}, "different HOST:PORT.*a:1, a:1"),
        ({"WORKER_HOSTS": "a,b", "WORKER_INDEX": "0"}, "different HOST:PORT.*Received: a, b"),
        (
            {**SLURM, "SLURM_STEP_TASKS_PER_NODE": "2"},
            "must say how many.*PER_NODE=2",
        ),
        ({**SLURM, "SLURM_PROCID": ""}, "SLURM_PROCID=None"),
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "x"}, "srun must say"),
    ],
)
def test_what_cannot_be_read(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        find_cluster(environment)


def test_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TF_CONFIG", *SLURM):
        monkeypatch.delenv(name, raising=False)
    for name, value in KUBERNETES.items():
        monkeypatch.setenv(name, value)
    assert find_cluster() == find_cluster(os.environ) == find_cluster(KUBERNETES)
