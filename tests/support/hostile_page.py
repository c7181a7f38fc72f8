"""A page of somebody else, and everything it can send to an address of ours without being asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import EXECUTABLE, launch

EVIL = "evil.test"
"""A name that leads to this machine, as one does after its owner has bound it anew."""

ATTACK = """
async ({base, targets}) => {
  const said = {};
  const settled = (name, promise) => promise.then(v => said[name] = String(v), e => said[name] = 'refused');
  const wait = ms => new Promise(done => setTimeout(done, ms));
  const forms = [];
  const post = (path, enctype, fields) => {
    const frame = document.createElement('iframe');
    frame.name = 'f' + forms.length;
    document.body.append(frame);
    const form = document.createElement('form');
    Object.assign(form, {method: 'POST', action: base + path, enctype, target: frame.name});
    for (const [name, value] of fields) {
      const field = document.createElement('input');
      Object.assign(field, {type: 'hidden', name, value});
      form.append(field);
    }
    document.body.append(form);
    forms.push(form);
    form.submit();
  };
  for (const [path, body] of targets) {
    // a form of text/plain writes name=value, which can be made JSON
    post(path, 'text/plain', [[body.slice(0, -1) + ', "a": "', '"}']]);
    post(path, 'application/x-www-form-urlencoded', Object.entries(JSON.parse(body)));
    post(path, 'multipart/form-data', Object.entries(JSON.parse(body)));
  }
  const jobs = [];
  for (const [path, body] of targets) {
    const image = new Image();
    jobs.push(settled('img ' + path, new Promise((done, fail) => {
      image.onload = done; image.onerror = fail; image.src = base + path; })));
    const script = document.createElement('script');
    jobs.push(settled('script ' + path, new Promise((done, fail) => {
      script.onload = done; script.onerror = fail; script.src = base + path; document.body.append(script); })));
    const frame = document.createElement('iframe');
    frame.src = base + path;
    document.body.append(frame);
    for (const method of ['GET', 'POST']) for (const mode of ['no-cors', 'cors'])
      jobs.push(settled(`${mode} ${method} ${path}`, fetch(base + path, {
        method, mode, credentials: 'include', redirect: 'follow',
        body: method === 'POST' ? body : undefined,
        headers: {'content-type': 'text/plain'}}).then(answer => answer.status)));
    jobs.push(settled('json ' + path, fetch(base + path, {
      method: 'POST', credentials: 'include', body,
      headers: {'content-type': 'application/json'}}).then(answer => answer.status)));
    navigator.sendBeacon(base + path, body);
  }
  for (const protocol of [[], ['graphql-ws'], ['streamlit']])
    jobs.push(settled('socket ' + protocol, new Promise((done, fail) => {
      const socket = new WebSocket(base.replace('http', 'ws') + '/graphql', protocol);
      socket.onopen = () => {
        for (const [, body] of targets)
          socket.send(JSON.stringify({type: 'start', id: '1', payload: JSON.parse(body)}));
        done('open'); };
      socket.onerror = fail; })));
  await Promise.all(jobs);
  await wait(1500);  // forms and frames have no end that a page may see
  return said;
}
"""
"""Of an address and its targets (path and JSON body each): images, scripts, frames, forms, beacons, fetches, sockets.

It answers with what each became: a status (0 for one the page may not see), "open", "[object Event]" for what was
loaded, or "refused".
"""
_REFUSED = re.compile(r"refused|0|4\d\d")


def got_through(said: dict[str, str]) -> dict[str, str]:
    """Return what was answered, of all that a hostile page has tried."""
    return {name: became for name, became in said.items() if not _REFUSED.fullmatch(became)}


@contextmanager
def hostile_browser() -> Iterator[Any]:
    """Start a Chromium for which the hostile name leads to this machine; skip where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="`make setup` installs playwright")
    if not Path(EXECUTABLE).exists():
        pytest.skip(f"{EXECUTABLE} is not there: `apt-get install chromium` (or the like) installs it")
    with sync_api.sync_playwright() as playwright:
        opened = launch(playwright, f"--host-resolver-rules=MAP {EVIL} 127.0.0.1")
        yield opened
        opened.close()


@contextmanager
def page_of_somebody_else() -> Iterator[int]:
    """Serve an empty page on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><body>look at this</body>")

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
