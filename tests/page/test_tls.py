from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.process import lanecast_process
from tests.serve.certificates import make_certificate


def test_page_and_its_socket_come_over_tls(browser: Browser, tmp_path: Path) -> None:
    tls = make_certificate(tmp_path)
    settings = f'port = 0\n[tls]\ncertificate_file = "{tls.certificate_file}"\nkey_file = "{tls.key_file}"\n'
    with lanecast_process(tmp_path, settings) as server:
        assert server.address.startswith("https://127.0.0.1:")
        page = browser.new_page(ignore_https_errors=True)
        page.goto(server.address)
        expect(page.get_by_test_id("connection")).to_have_text("connected")
        expect(page.get_by_test_id("tape-row").first).to_be_visible()
        page.close()
