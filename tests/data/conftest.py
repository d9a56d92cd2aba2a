import pytest

from srnet_jax.io import sandbox
from tests.data.people import made_walker


@pytest.fixture(scope="module", autouse=True)
def one_process():
    """Read all files of a test module in one sandbox process, because starting one takes longer than most tests."""
    with sandbox.one_process():
        yield


@pytest.fixture(scope="session")
def walker():
    return made_walker()
