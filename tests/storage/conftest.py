import pytest

from monitor.storage import journal, journal_file


@pytest.fixture
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks again at a failed journal sooner than an operator needs it."""
    monkeypatch.setattr(journal, "UPKEEP_SECONDS", 0.05)
    monkeypatch.setattr(journal, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(journal, "STALL_SECONDS", 2)
    monkeypatch.setattr(journal_file, "BUSY_SECONDS", 0.1)
