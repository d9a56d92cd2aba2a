#!/usr/bin/env bash
# Install, train SRNet and the fully connected baseline on the embedded data set, and evaluate both with tables and figures.
# After an interruption, the same command continues. Usage: bash launch/quickstart.sh [SEED]
set -euo pipefail
cd "$(dirname "$0")/.."
seed=${1:-0}
if ! [[ $seed =~ ^[0-9]+$ ]]; then
  echo "error: SEED: found '$seed', expected a whole number, 0 or more" >&2
  exit 2
fi
bash launch/setup.sh
runs=runs/quickstart/seed$seed
for network in fc sr; do
  echo
  .venv/bin/python -m launch.train --config=configs/quickstart.py --workdir="$runs/$network" \
    --config.model.network="$network" --config.seed="$seed"
done
echo
.venv/bin/python -m launch.evaluate --workdir="$runs/fc,$runs/sr" --output="$runs/comparison"
echo "results: $runs has a folder for each network (checkpoints, config.json, metrics.jsonl, results.json, results.csv) and comparison/ (tables, figures)"
