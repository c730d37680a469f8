"""What all that is drawn has in common: which parts of the model it shows, and how it is told to."""

from typing import ClassVar

from tui.model import Model, Part


class Panel:
    """A widget that a view draws whenever a part of the model that it shows has changed."""

    SHOWS: ClassVar[frozenset[Part]] = frozenset()
    """With `Part.TIME` if what it shows ages."""

    def show(self, model: Model, now: float) -> None:
        """Take what it shows from the model, and repaint what differs; `now` is by the server's clock."""
        raise NotImplementedError
