import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.broadcast.patch import apply_patch, encode_patch, merge, parse_patch

_keys = st.sampled_from(["a", "b", "c"])
_values = st.one_of(st.none(), st.integers(-5, 5), st.text(max_size=3), st.lists(st.booleans(), max_size=2))
_patches = st.fixed_dictionaries(
    {},
    optional={
        "levels": st.dictionaries(_keys, _values, max_size=3),
        "status": _values,
        "time": st.integers(0, 9),
    },
)


def _apply(whole: bytes, patch: bytes) -> bytes:
    return encode_patch(apply_patch(parse_patch(whole), parse_patch(patch)))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(_patches, _patches, _patches)
def test_a_merged_patch_has_the_effect_of_both_in_order(whole: object, first: object, second: object) -> None:
    start, older, newer = (orjson.dumps(each) for each in (whole, first, second))
    one_by_one = _apply(_apply(start, older), newer)
    merged = encode_patch(merge(parse_patch(older), parse_patch(newer)))
    assert orjson.loads(_apply(start, merged)) == orjson.loads(one_by_one)


def test_null_removes_a_key_and_stays_in_a_merged_patch() -> None:
    merged = encode_patch(merge(parse_patch(b'{"bids":{"1":"5"}}'), parse_patch(b'{"bids":{"1":null}}')))
    assert merged == b'{"bids":{"1":null}}'
    assert _apply(b'{"bids":{"1":"7","2":"8"}}', merged) == b'{"bids":{"2":"8"}}'


def test_values_stay_the_bytes_that_were_sent() -> None:
    long_number = b'{"s":{"n":12345678901234567890.1000,"o":{"x": 1.10}}}'
    assert encode_patch(merge(parse_patch(b"{}"), parse_patch(long_number))) == long_number


@pytest.mark.parametrize("text", [b"[]", b"1", b"{", b'"x"', b"", b"{" * 5_000, b'{"a":{"b":\xff}}'])
def test_what_is_not_an_object_of_sections_is_refused_with_a_reason(text: bytes) -> None:
    with pytest.raises(ValueError, match="object of sections"):
        parse_patch(text)
