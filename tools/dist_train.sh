#!/usr/bin/env bash
# Runs tools/train.py on several devices of one or more machines: dist_train.sh CONFIG GPUS [train.py flags]
set -euo pipefail
: "${2:?give CONFIG and GPUS: bash $0 CONFIG GPUS [flags]}"
torchrun \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$2" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/train.py" "$1" --launcher pytorch "${@:3}"
