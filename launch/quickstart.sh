#!/usr/bin/env bash
# Set up, train SRNet and the fully connected baseline on the embedded data set, evaluate both, with tables and figures.
# Run it again to continue after an interruption. Usage: bash launch/quickstart.sh [SEED]
set -euo pipefail
cd "$(dirname "$0")/.."
seed=${1:-0}
if ! [[ $seed =~ ^[0-9]+$ ]]; then
  echo "error: seed '$seed': expected a whole number" >&2
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
echo "everything is in $runs: checkpoints, config.json, metrics.jsonl, results.json and results.csv of each network; tables and figures in comparison/"
