"""A short, seeded part of the fuzzing; `make fuzz` is the long one."""

from itertools import islice

import pytest

from tests.fuzz.mutation import corpus, mutants
from tests.fuzz.targets import TARGETS

INPUTS = 400
"""Of each target, besides its corpus."""


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_in_nothing_fails(name: str) -> None:
    target = TARGETS[name]()
    seeds = corpus(name)
    for data in [b"", *seeds, *islice(mutants(seeds, seed=1), INPUTS)]:
        target(data)
