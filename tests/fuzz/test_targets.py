"""A short, seeded part of the fuzzing; `make fuzz` is the long one."""

from itertools import islice

import pytest

from tests.fuzz.mutation import Mutator, corpus
from tests.fuzz.targets import TARGETS

INPUTS = 400
"""Of each target, besides its corpus."""


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_in_nothing_fails(name: str) -> None:
    seeds = corpus(name)
    mutator = Mutator(seeds, TARGETS[name].shape)
    with TARGETS[name].open() as target:
        taken = [target(data) for data in [b"", *seeds, *islice(mutator.mutants(seed=1), INPUTS)]]
    assert sum(taken) > len(taken) / 5, (
        "inputs are refused at the first look: what lies behind was not tested"
    )
