#!/usr/bin/env bash
# Make .venv with the tested versions and install the project into it; quick when nothing changed.
# Usage: bash launch/setup.sh [EXTRA], where EXTRA is one of pyproject.toml's, for example dev.
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-}

for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
  python=
done
if [ -z "$python" ]; then
  echo "error: found no Python 3.11 or newer; name one with PYTHON=/path/to/python3" >&2
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
echo "set up."
