"""What is typed all at once, before any of it was looked at, does what it does key by key."""

from textual import events

from tests.tui.reports import connection
from tests.tui.screen import Screen, run
from tui.help import HelpScreen
from tui.model import Call
from tui.screens.alerts import AlertsView
from tui.screens.connection import ConnectionView
from tui.screens.connections import ConnectionsTable, ConnectionsView


def test_command_behind_a_view_that_is_not_there_yet_is_taken_there() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff("2:alerts\r")
        assert isinstance(screen.app.screen, AlertsView)
        assert screen.link.acts == []

    run(story)


def test_keys_behind_a_command_are_those_of_the_view_that_it_leads_to() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff(":conn\rj\rx")
        assert screen.app.view.crumb == "ada 127.0.0.1:40001"
        await screen.stuff("y")
        assert screen.link.acts == [Call("ops.disconnect", {"client": "c2"})]

    run(story)


def test_filter_is_whole_before_escape_takes_it_back() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff("2/ada\r")
        assert (type(screen.app.screen), screen.query.filter) == (ConnectionsView, "ada")
        await screen.stuff("\x1b/x:y?\r")
        assert screen.query.filter == "x:y?"
        await screen.stuff("\x1bj")
        assert screen.query.filter == ""
        assert screen.app.focused is screen.app.screen.query_one(ConnectionsTable)

    run(story)


def test_question_gets_what_is_typed_behind_the_key_that_asks_it() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff("2\rm3\ry")
        assert screen.link.acts == [Call("ops.ladder", {"client": "c1", "step": 3})]
        await screen.stuff("b100 5000\rn?")
        assert len(screen.link.acts) == 1
        assert isinstance(screen.app.screen, HelpScreen)

    run(story)


def test_row_that_the_server_has_not_filtered_yet_is_not_opened() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff("2/ada\r\rx")
        assert screen.app.screen is screen.app.view
        assert isinstance(screen.app.view, ConnectionsView)
        screen.model.set_connections({"total": 1, "rows": [connection(id="c2", user="ada")]})
        await screen.draw()
        await screen.stuff("\r")
        assert isinstance(screen.app.screen, ConnectionView)

    run(story)


def test_key_behind_a_click_finds_the_row_that_was_clicked() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2")
        screen.model.set_connections({"total": 2, "rows": [connection(), connection(id="c2", user="ada")]})
        await screen.draw()
        x, y, _, _ = screen.app.screen.query_one(ConnectionsTable).region
        for event in (events.MouseDown, events.MouseUp):
            screen.app.post_message(event(None, x + 5, y + 3, 0, 0, 1, False, False, False))
        await screen.stuff("\r")
        assert isinstance(screen.app.screen, ConnectionView)
        assert screen.app.view.crumb.startswith("ada ")

    run(story)
