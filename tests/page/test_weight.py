"""What the page weighs on the wire."""

from playwright.sync_api import Page

LIMIT_BYTES = 70_000

LOADED = """() => performance.getEntriesByType("resource")
  .filter(({ name }) => /\\.(js|css)$/.test(name))
  .map(({ name, encodedBodySize, decodedBodySize }) => [name, encodedBodySize, decodedBodySize])"""


def test_scripts_and_styles_are_few_packed_and_light(page: Page) -> None:
    loaded = page.evaluate(LOADED)
    assert len(loaded) == 5
    assert all(packed < plain for _, packed, plain in loaded)
    assert sum(packed for _, packed, _ in loaded) <= LIMIT_BYTES, loaded
