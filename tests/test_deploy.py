"""What is handed to schedulers starts the same `rdrop train`, and says who is who."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rdrop_tf.cli.main import _parser
from rdrop_tf.training import find_cluster

pytestmark = pytest.mark.one_backend

DEPLOY = Path(__file__).parents[1] / "deploy"


def checked(line: list[str]) -> Any:
    """Reads a line as the command would."""
    assert line[0] == "rdrop"
    args = _parser().parse_args(line[1:])
    assert (args.command, args.strategy, args.resume) == ("train", "multiworker", True)
    assert args.out is not None
    return args


# Slurm


def run_slurm(folder: Path, code: int) -> tuple[int, list[str]]:
    """Runs the script with commands in Slurm's place that note how they were called."""
    for name in ("srun", "scontrol"):
        stand_in = folder / name
        stand_in.write_text(
            f'#!/bin/bash\necho {name} "$@" >> {folder}/called\nexit ${{{name.upper()}_CODE:-0}}\n'
        )
        stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
    line = ["digits", "--out", str(folder / "a run")]
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "SRUN_CODE": str(code),
        "SLURM_JOB_ID": "7",
    }
    done = subprocess.run([DEPLOY / "slurm.sh", *line], env=environment, check=False)
    return done.returncode, (folder / "called").read_text("utf-8").splitlines()


@pytest.mark.parametrize("code", [0, 1, 75, 143])
def test_slurm_is_asked_to_start_it_again_after_75_alone(code: int, tmp_path: Path) -> None:
    ended, called = run_slurm(tmp_path, code)
    assert ended == code
    assert called[0].startswith("srun --kill-on-bad-exit=1 rdrop train digits --out ")
    assert called[1:] == (["scontrol requeue 7"] if code == 75 else [])


def test_slurm_starts_the_command() -> None:
    text = (DEPLOY / "slurm.sh").read_text("utf-8")
    (line,) = (each for each in text.splitlines() if each.startswith("srun "))
    words = line.replace('"$@"', "digits --out RUN").split()
    checked(words[words.index("rdrop") :])
    options = [each.split()[1] for each in text.splitlines() if each.startswith("#SBATCH ")]
    assert "--ntasks-per-node=1" in options
    assert any(option.startswith("--signal=TERM@") for option in options), "not B:, to the tasks"


# Kubernetes


def text(**more: Any) -> dict[str, Any]:
    return {"type": "string", **more}


def whole(least: int = 0) -> dict[str, Any]:
    return {"type": "integer", "minimum": least}


def object_of(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


FLAG = {"type": "boolean"}
NAME = text(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", maxLength=63)
# The fields in use, as Kubernetes (v1 Pod, batch/v1 Job), JobSet v1alpha2 and Kubeflow's TFJob v1
# define them.
POD = object_of(
    ("containers",),
    restartPolicy={"enum": ["Always", "OnFailure", "Never"]},
    terminationGracePeriodSeconds=whole(1),
    containers=list_of(
        object_of(
            ("name", "image"),
            name=NAME,
            image=text(),
            command=list_of(text()),
            env=list_of(object_of(("name",), name=text(), value=text())),
            ports=list_of(
                object_of(
                    ("containerPort",),
                    name=text(pattern="^[a-z0-9-]{1,15}$"),
                    containerPort={**whole(1), "maximum": 65535},
                )
            ),
            resources=object_of(
                limits={"type": "object", "additionalProperties": {"type": ["string", "integer"]}}
            ),
            volumeMounts=list_of(
                object_of(("name", "mountPath"), name=NAME, mountPath=text(), readOnly=FLAG)
            ),
        )
    ),
    volumes=list_of(
        object_of(
            ("name",),
            name=NAME,
            persistentVolumeClaim=object_of(("claimName",), claimName=NAME, readOnly=FLAG),
        )
    ),
)
JOB = object_of(
    ("template",),
    completions=whole(1),
    parallelism=whole(1),
    completionMode={"enum": ["Indexed", "NonIndexed"]},
    backoffLimit=whole(),
    podFailurePolicy=object_of(
        ("rules",),
        rules=list_of(
            object_of(
                ("action",),
                action={"enum": ["FailJob", "FailIndex", "Ignore", "Count"]},
                onExitCodes=object_of(
                    ("operator", "values"),
                    containerName=NAME,
                    operator={"enum": ["In", "NotIn"]},
                    values=list_of(whole()),
                ),
            )
        ),
    ),
    template=object_of(("spec",), spec=POD),
)
JOBSET = object_of(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
    kind={"const": "JobSet"},
    metadata=object_of(("name",), name=NAME),
    spec=object_of(
        ("replicatedJobs",),
        network=object_of(enableDNSHostnames=FLAG, subdomain=NAME),
        failurePolicy=object_of(
            maxRestarts=whole(),
            rules=list_of(
                object_of(
                    ("action", "name"),
                    name=text(pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
                    action={
                        "enum": ["FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"]
                    },
                    onJobFailureReasons=list_of(
                        {
                            "enum": [
                                "BackoffLimitExceeded",
                                "DeadlineExceeded",
                                "FailedIndexes",
                                "MaxFailedIndexesExceeded",
                                "PodFailurePolicy",
                            ]
                        }
                    ),
                )
            ),
        ),
        replicatedJobs=list_of(
            object_of(
                ("name", "template"),
                name=NAME,
                replicas=whole(1),
                template=object_of(("spec",), spec=JOB),
            )
        ),
    ),
)
TFJOB = object_of(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "kubeflow.org/v1"},
    kind={"const": "TFJob"},
    metadata=object_of(("name",), name=NAME),
    spec=object_of(
        ("tfReplicaSpecs",),
        runPolicy=object_of(
            cleanPodPolicy={"enum": ["All", "Running", "None"]}, backoffLimit=whole()
        ),
        tfReplicaSpecs=object_of(
            Worker=object_of(
                ("template",),
                replicas=whole(1),
                restartPolicy={"enum": ["Always", "OnFailure", "Never", "ExitCode"]},
                template=object_of(("spec",), spec=POD),
            )
        ),
    ),
)


def manifest(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


@pytest.mark.parametrize(("name", "schema"), [("jobset.yaml", JOBSET), ("tfjob.yaml", TFJOB)])
def test_a_manifest_is_of_its_kind(name: str, schema: dict[str, Any]) -> None:
    jsonschema.validate(manifest(name), schema)


def test_the_pods_of_a_jobset_find_each_other() -> None:
    jobset = manifest("jobset.yaml")
    (replicated,) = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    checked(container["command"])
    (port,) = (each["containerPort"] for each in container["ports"])
    names = [
        f"{jobset['metadata']['name']}-{replicated['name']}-0-{index}"
        f".{jobset['spec']['network']['subdomain']}:{port}"
        for index in range(job["completions"])
    ]
    environment = {each["name"]: each["value"] for each in container["env"]}
    for index, own in enumerate(names):
        found = find_cluster({**environment, "JOB_COMPLETION_INDEX": str(index)})
        assert list(found.workers) == names
        assert found.workers[found.index] == own
    assert job["parallelism"] == job["completions"], "all of them at once"
    assert job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [75]


def test_the_pods_of_a_tfjob_are_told_by_the_operator() -> None:
    job = manifest("tfjob.yaml")
    worker = job["spec"]["tfReplicaSpecs"]["Worker"]
    (container,) = worker["template"]["spec"]["containers"]
    checked(container["command"])
    assert container["name"] == "tensorflow", "the operator sets TF_CONFIG there"
    names = [f"rdrop-worker-{index}.team.svc:2222" for index in range(worker["replicas"])]
    for index in range(worker["replicas"]):
        config = {"cluster": {"worker": names}, "task": {"type": "worker", "index": index}}
        assert find_cluster({"TF_CONFIG": json.dumps(config)}).index == index


def test_the_guide_for_tpus_starts_the_command() -> None:
    lines = [line.split() for line in (DEPLOY / "tpu.md").read_text("utf-8").splitlines()]
    found = [line[line.index("rdrop") :] for line in lines if line[1:3] == ["rdrop", "train"]]
    assert len(found) == 2
    for line in found:
        args = _parser().parse_args(line[1:])
        assert (args.strategy, args.resume) == ("tpu", True)
