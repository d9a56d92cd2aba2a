"""A plugin of pytest that records each keypoint file that tests read, and what the package finds in it.

python -m pytest -p tests.lifting.browser.recorder tests/keypoints writes to the file that RECORDED_FILES names.
"""

import os
import pickle
from pathlib import Path

from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.keypoint_files import Hints

cases = []
_load, _NO_HINTS = keypoint_files.load, Hints()


def _recording(path, hints=_NO_HINTS):
    from tests.lifting.browser.reading import case_of

    keypoint_files.load = _load
    try:
        if Path(path).exists():
            cases.append(case_of(path, hints))
    finally:
        keypoint_files.load = _recording
    return _load(path, hints)


def pytest_configure():
    """Record what is loaded from now on."""
    keypoint_files.load = _recording


def pytest_sessionfinish():
    """Write what was recorded."""
    Path(os.environ["RECORDED_FILES"]).write_bytes(pickle.dumps(cases))
