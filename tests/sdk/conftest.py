"""A page with the vendored SDK, and how its tests talk to it."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import PATIENCE_MS
from tests.process import Process

PRELUDE = """
() => {
  const tell = (client, log, ...names) => {
    for (const name of names) client.on(name, context => log.push([name, context]));
  };
  window.open_client = (endpoint, options = {}) => {
    const log = [];
    const client = new Centrifuge(endpoint, { minReconnectDelay: 10, maxReconnectDelay: 50, ...options });
    tell(client, log, "connected", "connecting", "disconnected", "error", "publication", "subscribed",
         "unsubscribed");
    client.connect();
    return Object.assign(client, { log });
  };
  window.join = (client, channel, options = {}) => {
    const log = [];
    const subscription = client.newSubscription(channel, { minResubscribeDelay: 10, ...options });
    tell(subscription, log, "subscribed", "subscribing", "unsubscribed", "publication", "error");
    subscription.subscribe();
    return Object.assign(subscription, { log });
  };
  window.seen = async (log, name, accept = () => true) => {
    for (;;) {
      const at = log.findIndex(([event, context]) => event === name && accept(context));
      if (at >= 0) return log.splice(0, at + 1).pop()[1];
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  };
}
"""
"""`seen` takes the next event of a name off a log, with those before it."""


@pytest.fixture
def page(browser: Browser, process: Process) -> Iterator[Page]:
    """A page of the server's origin with the SDK loaded and nothing else."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{process.address}/static/icon.svg")
        load_sdk(page)
        yield page


def load_sdk(page: Page) -> None:
    page.evaluate("() => import('/static/vendor/centrifuge.js').then(() => undefined)")
    page.evaluate(PRELUDE)


def run(page: Page, script: str, **arguments: Any) -> Any:
    """Run the body of an async function of `given`; returns what it returns."""
    return page.evaluate(f"async given => {{ {script} }}", arguments)
