#!/usr/bin/env bash
# Runs tools/test.py on several devices of one or more machines: dist_test.sh CONFIG CHECKPOINT GPUS [test.py flags]
set -euo pipefail
: "${3:?give CONFIG, CHECKPOINT and GPUS: bash $0 CONFIG CHECKPOINT GPUS [flags]}"
torchrun \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$3" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/test.py" "$1" "$2" --launcher pytorch "${@:4}"
