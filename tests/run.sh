#!/usr/bin/env bash
# Install the project, and run ruff, mypy, import-linter and pytest. Usage: bash tests/run.sh [PYTEST ARGUMENTS], for example -m slow.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE # the tests start many processes, which would all compile the sources
bash launch/setup.sh dev
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/lint-imports --no-logo
.venv/bin/python -m pytest -n "$(($(nproc) < 4 ? $(nproc) + 1 : 4))" --dist loadfile --no-loadscope-reorder "$@"
