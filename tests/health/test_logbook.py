"""What is kept of the server's log, and where a reader goes on."""

import logging

import pytest

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
    assert (len(lines), lines[0].message, lines[-1].id) == (LINES_KEPT, "line 7", LINES_KEPT + 7)


def test_long_line_keeps_its_end(logger: logging.Logger) -> None:
    book = Logbook()
    with book.listening(logger):
        logger.error("x" * LINE_LENGTH_MAX + "the cause")
    (line,) = book.after(0)
    assert line.message.endswith("the cause")
    assert len(line.message) == LINE_LENGTH_MAX + 1


def test_reader_of_a_server_before_a_restart_gets_all(logger: logging.Logger) -> None:
    book = Logbook()
    with book.listening(logger):
        logger.info("first")
    assert [line.id for line in book.after(500)] == [1]
    assert book.after(1) == []


def test_nothing_is_kept_before_and_after_it_listens(logger: logging.Logger) -> None:
    book = Logbook()
    with book.listening(logger):
        pass
    logger.error("late")
    assert book.after(0) == []
