import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.sampling import Mark, rank

ids = st.uuids(version=4).map(str)
salts = st.integers(0, 2**32 - 1).map(lambda salt: f"{salt:08x}")


@given(salts, st.integers(0, 2**32 - 1))
def test_a_mark_is_read_as_it_was_written(salt: str, limit: int) -> None:
    assert Mark.read(str(Mark(salt, limit))) == Mark(salt, limit)


@given(salts, st.sets(ids, min_size=1, max_size=40))
def test_a_mark_picks_those_up_to_its_limit(salt: str, clients: set[str]) -> None:
    in_order = sorted(clients, key=lambda client: rank(client, salt))
    mark = Mark(salt, rank(in_order[len(in_order) // 2], salt))
    assert {client for client in clients if mark.picks(client)} >= set(in_order[: len(in_order) // 2 + 1])
    assert sum(map(mark.picks, clients)) == sum(rank(client, salt) <= mark.limit for client in clients)


@pytest.mark.parametrize("text", ["", "x" * 16, "12345678", str(uuid.UUID(int=0))])
def test_what_is_no_mark_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Mark.read(text)
