"""The status page in headless Chromium, driven through its debugging pipe."""
import json
import os
import shutil
import subprocess
import time

import pytest
from serving import write_model

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One tab. Messages of the debugging protocol are JSON that ends with a NUL, on the descriptors 3 (in) and 4 (out)."""

    def __init__(self, folder):
        to_browser, self.write = os.pipe()
        self.read, from_browser = os.pipe()

        def descriptors():
            os.dup2(to_browser, 13)  # out of the way of the targets
            os.dup2(from_browser, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        self.process = subprocess.Popen(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=descriptors, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.next, self.session = b"", 0, None
        page = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]

    def call(self, method, **parameters):
        self.next += 1
        message = {"id": self.next, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.buffer:
                piece = os.read(self.read, 1 << 16)
                assert piece, "the browser ended"
                self.buffer += piece
            text, self.buffer = self.buffer.split(b"\0", 1)
            reply = json.loads(text)
            if reply.get("id") == self.next:
                assert "error" not in reply, reply
                return reply["result"]

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression, what, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.evaluate(expression):
                return
            time.sleep(0.1)
        raise AssertionError(f"waited in vain for {what}: {self.evaluate('document.body.innerText')}")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.read)
        os.close(self.write)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: chromium)")
def test_status_page(serve, tmp_path):
    base = write_model(tmp_path / "half_plus_two", 123, 0.5, 2)
    server = serve("--model_name=half_plus_two", f"--model_base_path={base}")
    browser = Browser(tmp_path / "profile")
    try:
        browser.call("Page.navigate", url=server.url + "/")
        browser.until("document.querySelectorAll('#models tr').length === 1", "the model's row")
        row = browser.evaluate("document.querySelector('#models tr').innerText").split()
        assert row[:3] == ["half_plus_two", "123", "AVAILABLE"]
        assert " MB, " in browser.evaluate("document.getElementById('about').innerText")
        # The form sends the example, and what the user writes.
        assert json.loads(browser.evaluate("document.getElementById('body').value")) == {"inputs": {"x": [0.0]}}
        browser.evaluate("document.getElementById('body').value = '{\"instances\": [2, 4]}'; document.querySelector('#try button').click()")
        browser.until("document.getElementById('answer').innerText.startsWith('200 ')", "the answer")
        assert "[3.0, 4.0" in browser.evaluate("document.getElementById('answer').innerText")
        browser.evaluate("document.getElementById('body').value = '{}'; document.querySelector('#try button').click()")
        browser.until("document.getElementById('answer').innerText.startsWith('400 ')", "the error")
        # The numbers and the plots follow the traffic.
        for _ in range(30):
            server.predict("half_plus_two", [1])
        browser.until("+document.querySelector('#models tr').cells[3].innerText >= 31", "the count of requests")
        ink = "(() => { const c = document.getElementById('rate'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; " \
              "let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })()"
        browser.until(f"{ink} > 100", "a plotted line")
        # A new version appears by itself; a server that is gone is said.
        write_model(base, 124, 0.5, 3)
        browser.until("document.getElementById('models').innerText.includes('124')", "the new version")
        server.stop()
        browser.until("document.getElementById('down').innerText !== ''", "the alarm")
    finally:
        browser.close()
