"""Messages that no venue sends, near enough to real ones to get past the first look."""

import orjson
from hypothesis import strategies as st

_WORDS = ["1.5", "-1.5", "0.1234", "xusdt@trade", "xusdt@depth@100ms", "xusdt@bookTicker", "xusdt@miniTicker"]
_WORDS += ["executionReport", "TRADE", "BUY", "yes", "no", "T1", "orderbook_delta", "orderbook_snapshot"]
_WORDS += ["trade", "ticker", "fill", "error", "ok", "subscribed"]
_leaves = st.none() | st.booleans() | st.integers(-3, 2**40) | st.floats() | st.text(max_size=5)


def messages(keys: str) -> st.SearchStrategy[str]:
    """JSON texts of nested values under these keys (words), some cut short."""

    def nest(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
        return st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(keys.split()), inner, max_size=8)

    values = st.recursive(_leaves | st.sampled_from(_WORDS), nest, max_leaves=25)
    texts = values.map(lambda value: orjson.dumps(value).decode())
    return texts | st.tuples(texts, st.integers(0, 40)).map(lambda pair: pair[0][: pair[1]])
