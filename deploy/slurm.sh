#!/bin/bash
# A training on several nodes of Slurm, one task a node with all of its GPUs:
#
#     sbatch deploy/slurm.sh multi30k/en-de --data DATA --out RUN
#
# RUN lies on a file system that all nodes see. Two minutes before its time is over Slurm asks the
# tasks to end; they save, and the job is queued again and goes on.
#SBATCH --job-name=rdrop
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append

srun --kill-on-bad-exit=1 rdrop train "$@" --strategy multiworker --resume
code=$?
# 75: asked to end, or a worker was lost. Any other failure would come again.
if [ "$code" -eq 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
