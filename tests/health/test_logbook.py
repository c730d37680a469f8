"""What is kept of the server's log, and where a reader goes on."""

import logging

import pytest

from monitor.health import logbook
from monitor.health.logbook import LINE_LENGTH_MAX, LINES_KEPT, Logbook


@pytest.fixture
def logger() -> logging.Logger:
    return logging.Logger("lanecast.test")


def test_flood_of_lines_keeps_the_last_ones(logger: logging.Logger) -> None:
    book = Logbook()
    with book.listening(logger):
        for number in range(LINES_KEPT + 7):
            logger.info("line %d", number)
    lines = book.after(0)
    assert (len(lines), lines[0].message, lines[-1].message) == (LINES_KEPT, "line 7", "line 1006")
    assert lines[-1].id - lines[0].id == LINES_KEPT - 1


def test_long_line_keeps_its_end(logger: logging.Logger) -> None:
    book = Logbook()
    with book.listening(logger):
        logger.error("x" * LINE_LENGTH_MAX + "the cause")
    (line,) = book.after(0)
    assert line.message.endswith("the cause")
    assert len(line.message) == LINE_LENGTH_MAX + 1


def test_reader_goes_on_behind_the_line_that_he_had_and_after_a_restart_gets_all(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts_ms = iter((1_700_000_000_000, 1_700_000_000_100, 1_600_000_000_000))
    monkeypatch.setattr(logbook, "wall_ms", lambda: next(starts_ms))
    last = 0
    for message in ("first start", "second start", "a clock that was set back"):
        book = Logbook()
        with book.listening(logger):
            logger.info(message)
        assert [line.message for line in book.after(last)] == [message]
        last = book.after(0)[-1].id
        assert book.after(last) == []


def test_nothing_is_kept_before_and_after_it_listens(logger: logging.Logger) -> None:
    book = Logbook()
    with book.listening(logger):
        pass
    logger.error("late")
    assert book.after(0) == []
