#!/usr/bin/env bash
# Make .venv and install the project into it, with the tested versions of its packages; do nothing if it is up to date.
# Usage: bash launch/setup.sh [EXTRA], where EXTRA is an optional dependency group of pyproject.toml, for example dev.
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-}

for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
  python=
done
if [ -z "$python" ]; then
  echo "error: Python: found none of version 3.11 or newer, expected one on PATH or PYTHON=/path/to/python3" >&2
  exit 1
fi

stamp=$("$python" --version; pwd; cat requirements.txt launch/constraints.txt pyproject.toml)
done_file=.venv/.setup-${extra:-run}
if [ -x .venv/bin/python ] && [ "$(cat "$done_file" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi
echo "setting up .venv with $("$python" --version) ..."
if ! { [ -x .venv/bin/python ] && [ "$(.venv/bin/python --version)" = "$("$python" --version)" ]; }; then
  "$python" -m venv --clear .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
  --constraint launch/constraints.txt --editable ".${extra:+[$extra]}"
echo "$stamp" > "$done_file"
echo "set up .venv"
