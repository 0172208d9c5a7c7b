#!/usr/bin/env bash
# Runs tools/train.py under Slurm: slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [train.py flags]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS come from the environment.
set -euo pipefail
: "${4:?give PARTITION, JOB_NAME, CONFIG and WORK_DIR: bash $0 PARTITION JOB_NAME CONFIG WORK_DIR [flags]}"
gpus=${GPUS:-8}
# SRUN_ARGS holds several words on purpose.
# shellcheck disable=SC2086
srun -p "$1" --job-name="$2" --gres="gpu:${GPUS_PER_NODE:-8}" --ntasks="$gpus" \
    --ntasks-per-node="${GPUS_PER_NODE:-8}" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "$(dirname "$0")/train.py" "$3" --work-dir="$4" --launcher slurm "${@:5}"
