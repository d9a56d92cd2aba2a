"""The examples in docstrings run and print what they show."""

import doctest
import importlib

import pytest

MODULES = [
    "srnet_jax.pose.cameras",
    "srnet_jax.pose.metrics",
    "srnet_jax.pose.normalization",
    "srnet_jax.pose.rarity",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, raise_on_error=False)
    assert result.attempted > 0
    assert result.failed == 0
