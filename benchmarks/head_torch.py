"""The official PyTorch loss of a vocabulary head, in a process of its own.

    python benchmarks/head_torch.py ROWS FEATURES CLASSES THREADS [--compile]

A process, because TensorFlow and PyTorch in one fight over the cores, and because PyTorch may be
installed for another interpreter. It prints a line when it is ready, then for each line it reads
one round's milliseconds, so that its rounds can take turns with others. Needs torch alone.
"""

import sys
import time
from typing import Any

import torch
from torch.nn import functional

ALPHA = 1.0


def official(hidden: Any, kernel: Any, labels: Any) -> Any:
    """The loss of the official translation code: one call on both passes, put below one another.

    Written out from its criterion: the negative log-likelihood of all rows, and half the sum of
    both directions of the KL, each from `kl_div` without reduction.
    """
    logits = hidden @ kernel
    log_probabilities = functional.log_softmax(logits, dim=-1)
    probabilities = functional.softmax(logits, dim=-1)
    nll = -log_probabilities.gather(-1, labels.repeat(2)[:, None]).sum()
    p, q = torch.split(log_probabilities, logits.shape[0] // 2)
    p_probabilities, q_probabilities = torch.split(probabilities, logits.shape[0] // 2)
    forward = functional.kl_div(p, q_probabilities, reduction="none").sum()
    backward = functional.kl_div(q, p_probabilities, reduction="none").sum()
    return nll + ALPHA * (forward + backward) / 2


def main() -> None:
    rows, features, classes, threads = (int(x) for x in sys.argv[1:5])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    loss = torch.compile(official) if "--compile" in sys.argv else official
    hidden = torch.randn(2 * rows, features, requires_grad=True)
    kernel = (torch.randn(features, classes) * features**-0.5).requires_grad_()
    labels = torch.randint(classes, (rows,))

    def once() -> float:
        hidden.grad = kernel.grad = None
        start = time.perf_counter()
        loss(hidden, kernel, labels).backward()
        return (time.perf_counter() - start) * 1000

    once()
    print(torch.__version__, flush=True)
    for _ in sys.stdin:
        print(once(), flush=True)


if __name__ == "__main__":
    main()
