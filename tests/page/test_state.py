"""What the page makes of the payloads, held against plain models; the modules run in a real browser."""

import random

import pytest
from playwright.sync_api import Page

APPLY_TO_BOOK = """async ([whole, patches]) => {
  const { Book } = await import("/static/js/state/book.js");
  const book = new Book();
  book.whole(whole);
  for (const patch of patches) book.change(patch);
  const levels = (side) => side.texts.map((text, at) => [text, side.sizes[at]]);
  return { bids: levels(book.bids), asks: levels(book.asks), status: book.status };
}"""

APPLY_TO_TAPE = """async ([capacity, steps]) => {
  const { GAP, Tape } = await import("/static/js/state/tape.js");
  const tape = new Tape(capacity, "sim.A");
  for (const [step, ...given] of steps) tape[step](...given);
  const rows = [];
  for (let seq = tape.start; seq < tape.end; seq++) {
    const slot = seq % tape.capacity;
    rows.push(tape.sides[slot] === GAP ? `gap ${tape.sizes[slot]}` : tape.prices[slot]);
  }
  return rows;
}"""

APPLY_TO_KEYED = """async ([whole, patches]) => {
  const { Keyed } = await import("/static/js/state/keyed.js");
  const state = new Keyed();
  state.whole(whole);
  for (const patch of patches) state.change(patch);
  return Object.fromEntries(
    Object.entries(state.sections).map(([name, value]) => [name, value instanceof Map ? [...value] : value]));
}"""

APPLY_TO_ENTRIES = """async ([entries, updates]) => {
  const { Entries } = await import("/static/js/state/entries.js");
  const state = new Entries();
  state.whole(entries);
  for (const update of updates) state.change(update);
  return [...state.byKey];
}"""

APPLY_TO_FILLS = """async ([whole, changes]) => {
  const { Fills } = await import("/static/js/state/fills.js");
  const fills = new Fills();
  fills.whole(whole);
  for (const change of changes) fills.change(change);
  return { ids: fills.list.map((fill) => fill.fill), live: fills.list.map((fill) => fill.isLive) };
}"""


SHOW_TAPE = """async (count) => {
  const { Tape } = await import("/static/js/state/tape.js");
  const { TapeList } = await import("/static/js/views/tape-list.js");
  const list = document.body.appendChild(document.createElement("div"));
  list.style.height = "100px";
  const tape = new Tape(10_000);
  const shown = new Promise((resolve) => {
    const view = new TapeList(list, document.createElement("button"), () => resolve(view));
  });
  const view = await shown;
  for (let seq = 0; seq < count; seq++) {
    tape.change({ market: "sim.A", price: String(seq), size: "1", side: "buy", time: 1 });
    if (seq % 7 === 0) view.draw(tape);
  }
  view.draw(tape);
  const strip = list.querySelector(".strip");
  const pixels = (text) => Number(text.match(/-?[0-9]+/)[0]);
  const rows = [...strip.children].filter((row) => !row.hidden).map((row) => [
    pixels(strip.style.transform) + pixels(row.style.top), row.querySelector(".price").textContent]);
  list.remove();
  return rows.sort(([one], [other]) => one - other);
}"""


def trade(price: str) -> dict[str, object]:
    return {"id": price, "price": price, "size": "1", "side": "buy", "time": 1}


def publications(*offsets: int) -> list[dict[str, object]]:
    """The history as the server gives it: newest first."""
    return [{"data": trade(str(offset)), "offset": offset} for offset in sorted(offsets, reverse=True)]


def filled(epoch: str, *offsets: int) -> list[list[object]]:
    """What becomes of a tape that asks for its history; none is what it is told where that is refused."""
    return [["hold", epoch], ["fill", publications(*offsets)]]


@pytest.mark.parametrize("seed", range(5))
def test_patched_book_is_the_sorted_book_of_a_plain_model(laboratory: Page, seed: int) -> None:
    chance = random.Random(seed)
    model: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    patches = []
    for _ in range(300):
        side = chance.choice(("bids", "asks"))
        price = chance.choice((str(chance.randint(1, 40)), f"{chance.randint(1, 40)}.5"))
        size = chance.choice((None, str(chance.randint(1, 9))))
        patches.append({side: {price: size}})
        if size is None:
            model[side].pop(price, None)
        else:
            model[side][price] = size
    whole = {"status": "SYNCED", "since": 1, "time": 1, "bids": {}, "asks": {}}
    book = laboratory.evaluate(APPLY_TO_BOOK, [whole, patches])
    assert book["asks"] == [[price, model["asks"][price]] for price in sorted(model["asks"], key=float)]
    bids = sorted(model["bids"], key=float, reverse=True)
    assert book["bids"] == [[price, model["bids"][price]] for price in bids]


def test_prices_that_look_like_integers_keep_their_place(laboratory: Page) -> None:
    whole = {"status": "SYNCED", "bids": {"9.5": "1", "10": "2", "2": "3"}, "asks": {"11.5": "1", "100": "2"}}
    book = laboratory.evaluate(APPLY_TO_BOOK, [whole, []])
    assert [price for price, _ in book["bids"]] == ["10", "9.5", "2"]
    assert [price for price, _ in book["asks"]] == ["11.5", "100"]


def test_lost_book_keeps_its_levels_and_says_so(laboratory: Page) -> None:
    whole = {"status": "SYNCED", "bids": {"1": "1"}, "asks": {"2": "1"}}
    book = laboratory.evaluate(APPLY_TO_BOOK, [whole, [{"status": "GAP", "since": 5}]])
    assert book == {"bids": [["1", "1"]], "asks": [["2", "1"]], "status": "GAP"}


def test_new_whole_replaces_the_book(laboratory: Page) -> None:
    steps = """async () => {
      const { Book } = await import("/static/js/state/book.js");
      const book = new Book();
      book.whole({ status: "SYNCED", bids: { "1": "1" }, asks: { "2": "1" } });
      book.whole({ status: "SYNCED", bids: { "3": "1" }, asks: {} });
      return [book.bids.texts, book.asks.texts];
    }"""
    assert laboratory.evaluate(steps) == [["3"], []]


def test_null_removes_a_key_and_other_sections_replace(laboratory: Page) -> None:
    whole = {"bucket_seconds": 60, "buckets": {"60000": {"trades": 1}, "0": {"trades": 2}}}
    patches = [{"buckets": {"0": None, "120000": {"trades": 3}}}, {"bucket_seconds": 30, "points": ["1"]}]
    assert laboratory.evaluate(APPLY_TO_KEYED, [whole, patches]) == {
        "bucket_seconds": 30,
        "buckets": [["60000", {"trades": 1}], ["120000", {"trades": 3}]],
        "points": ["1"],
    }


def test_section_of_keys_keeps_them_whatever_is_published(laboratory: Page) -> None:
    whole = {"points": {"sim.A": ["1"]}}
    patches: list[object] = [{"points": 5}, {"points": ["1"]}, 7, "x", None, {"points": {"sim.B": ["2"]}}]
    sections = laboratory.evaluate(APPLY_TO_KEYED, [whole, patches])
    assert sections["points"] == [["sim.A", ["1"]], ["sim.B", ["2"]]]


def test_book_that_was_silent_for_long_says_so_from_the_start(laboratory: Page) -> None:
    age = """async () => {
      const { Book } = await import("/static/js/state/book.js");
      const book = new Book();
      book.whole({ status: "SYNCED", time: Date.now() - 60_000, bids: {}, asks: {} });
      const silent = Date.now() - book.arrivedMs;
      book.change({ time: Date.now() - 60_000 });
      return [silent >= 60_000, Date.now() - book.arrivedMs < 30_000];
    }"""
    assert laboratory.evaluate(age) == [True, True]


def test_history_and_live_trades_join_without_repeating(laboratory: Page) -> None:
    steps = [
        ["hold", "e"],
        ["change", trade("4"), 4],
        ["change", trade("5"), 5],
        ["fill", publications(1, 2, 3, 4)],
        ["change", trade("6"), 6],
    ]
    assert laboratory.evaluate(APPLY_TO_TAPE, [10, steps]) == ["1", "2", "3", "4", "5", "6"]


def test_trades_that_never_arrived_are_a_row_of_their_own(laboratory: Page) -> None:
    steps = [
        *filled("e", 1, 2),
        ["hold", "e"],
        ["change", trade("9"), 9],
        ["fill", publications(7, 8, 9)],
    ]
    assert laboratory.evaluate(APPLY_TO_TAPE, [10, steps]) == ["1", "2", "gap 4", "7", "8", "9"]


def test_restarted_server_counts_anew(laboratory: Page) -> None:
    steps = [*filled("e", 100, 101), *filled("f", 1, 2)]
    assert laboratory.evaluate(APPLY_TO_TAPE, [10, steps]) == ["100", "101", "1", "2"]


def test_history_that_was_refused_once_is_not_shown_twice_later(laboratory: Page) -> None:
    steps = [*filled("e", 1, 2), *filled("e"), ["change", trade("3"), 3], *filled("e", 1, 2, 3, 4)]
    assert laboratory.evaluate(APPLY_TO_TAPE, [10, steps]) == ["1", "2", "3", "4"]


def test_tape_keeps_the_newest_of_its_capacity(laboratory: Page) -> None:
    steps = filled("e", *range(1, 8))
    assert laboratory.evaluate(APPLY_TO_TAPE, [3, steps]) == ["5", "6", "7"]


@pytest.mark.parametrize("count", [3, 10_500, 45_003])
def test_list_has_the_newest_trade_on_top_however_many_came(laboratory: Page, count: int) -> None:
    rows = laboratory.evaluate(SHOW_TAPE, count)
    assert rows == [[20 * place, str(count - 1 - place)] for place in range(len(rows))]
    assert len(rows) == min(count, 13)


def test_fill_that_comes_twice_is_listed_once(laboratory: Page) -> None:
    first, second = ({"type": "order_fill", "market": "sim.A", "fill": fill} for fill in ("1", "2"))
    other_market = {**first, "market": "sim.B"}
    update = {"type": "order_update", "market": "sim.A", "order": "7"}
    unlike_a_fill = [
        None,
        "text",
        {"type": "order_fill", "fill": "3"},
        {"type": "order_fill", "market": "sim.A"},
    ]
    whole = {"orders": [], "fills": [first]}
    listed = laboratory.evaluate(
        APPLY_TO_FILLS, [whole, [first, update, second, second, other_market, *unlike_a_fill]]
    )
    assert listed == {"ids": ["1", "2", "1"], "live": [True, True, False]}


def test_entries_of_a_map_stand_in_the_order_in_which_they_came(laboratory: Page) -> None:
    entries = [{"key": key, "data": key.upper(), "offset": at} for key, at in (("a", 7), ("b", 2), ("c", 5))]
    updates = [
        {"key": "b", "data": "changed", "offset": 8},
        {"key": "d", "data": "D", "offset": 9},
        {"key": "c", "data": None, "removed": True, "offset": 10},
    ]
    shown = laboratory.evaluate(APPLY_TO_ENTRIES, [entries, updates])
    assert shown == [["b", "changed"], ["a", "A"], ["d", "D"]]
