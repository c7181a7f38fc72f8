"""Pages of other addresses in the browser of somebody who is signed in: nothing they send gets through any door."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.doors.roles import Role
from tests.browser.chromium import EXECUTABLE, launch
from tests.support.doors import DOORS, OpenDoors, Recorded, open_doors

MUTATION = '{"query": "mutation { stopSensor(id: 1) { __typename } }"}'
EVIL = "evil.test"
"""A name that leads to this machine, as one does after its owner has bound it anew."""
LIMIT_MS = 60_000

# Everything a page can send without being asked; it answers with what each became.
ATTACK = """
async ({base, mutation}) => {
  const said = {};
  const settled = (name, promise) => promise.then(v => said[name] = String(v), e => said[name] = 'refused');
  const wait = ms => new Promise(done => setTimeout(done, ms));
  const paths = ['/', '/graphql?query=' + encodeURIComponent('mutation { stop }'), '/api/trading/kill', '/flow'];
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
  const split = mutation.length - 2;  // a form of text/plain writes name=value, which can be made JSON
  for (const path of ['/graphql', '/api/trading/kill', '/flow', '/-/sign-out']) {
    post(path, 'text/plain', [[mutation.slice(0, split) + ', "a": "', '"}']]);
    post(path, 'application/x-www-form-urlencoded', [['query', 'mutation { stop }']]);
    post(path, 'multipart/form-data', [['query', 'mutation { stop }']]);
  }
  const jobs = [];
  for (const path of paths) {
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
        body: method === 'POST' ? mutation : undefined,
        headers: {'content-type': 'text/plain'}}).then(answer => answer.status)));
    jobs.push(settled('json ' + path, fetch(base + path, {
      method: 'POST', credentials: 'include', body: mutation,
      headers: {'content-type': 'application/json'}}).then(answer => answer.status)));
    navigator.sendBeacon(base + path, mutation);
  }
  for (const protocol of [[], ['graphql-ws'], ['streamlit']])
    jobs.push(settled('socket ' + protocol, new Promise((done, fail) => {
      const socket = new WebSocket(base.replace('http', 'ws') + '/graphql', protocol);
      socket.onopen = () => { socket.send(JSON.stringify({type: 'start', id: '1', payload: JSON.parse(mutation)}));
                              done('open'); };
      socket.onerror = fail; })));
  await Promise.all(jobs);
  await wait(1500);  // forms and frames have no end that a page may see
  return said;
}
"""


@pytest.fixture(scope="module")
def hostile_browser() -> Iterator[Any]:
    """Chromium for which the hostile name leads to this machine."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="`make setup` installs playwright")
    if not Path(EXECUTABLE).exists():
        pytest.skip(f"{EXECUTABLE} is not there: `apt-get install chromium` (or the like) installs it")
    with sync_api.sync_playwright() as playwright:
        opened = launch(playwright, f"--host-resolver-rules=MAP {EVIL} 127.0.0.1")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def behind() -> dict[str, Recorded]:
    return {name: Recorded(headers=[(b"content-type", b"text/html")], body=b"<p>ours</p>") for name in DOORS}


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory, behind: dict[str, Recorded]) -> Iterator[OpenDoors]:
    with open_doors(tmp_path_factory.mktemp("doors") / "home", behind) as opened:
        opened.person("ann", Role.OWNER)
        yield opened


@pytest.fixture
def signed_in(hostile_browser: Any, doors: OpenDoors, behind: dict[str, Recorded]) -> Iterator[Any]:
    """A page of the browser of somebody who is signed in."""
    context = hostile_browser.new_context()
    context.set_default_timeout(LIMIT_MS)
    page = context.new_page()
    page.goto(doors.url("dashboard", f"/-/link?code={doors.accounts.make_link('ann')}"))
    page.get_by_text("ours").wait_for()
    for each in behind.values():
        each.requests.clear()
    yield page
    context.close()


def passed(behind: dict[str, Recorded]) -> set[tuple[str, str]]:
    """Return method and path of what got through any door, but for the picture a browser asks of our own page."""
    found = {request[:2] for each in behind.values() for request in each.requests}
    return found - {("GET", "/favicon.ico")}


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


@pytest.mark.browser
@pytest.mark.parametrize("door", DOORS)
def test_a_page_of_our_own_gets_through(
    signed_in: Any, doors: OpenDoors, behind: dict[str, Recorded], door: str
) -> None:
    """What the others cannot do: without this, nothing that gets through would mean nothing."""
    signed_in.goto(doors.url(door))
    sent = "fetch('/graphql', {method: 'POST', body, headers: {'content-type': 'application/json'}})"
    assert signed_in.evaluate(f"body => {sent}.then(answer => answer.status)", MUTATION) == 200
    assert ("POST", "/graphql") in passed(behind)


@pytest.mark.browser
@pytest.mark.parametrize("host", [EVIL, "127.0.0.1", "localhost"])
def test_a_page_elsewhere_does_nothing(
    signed_in: Any, doors: OpenDoors, behind: dict[str, Recorded], host: str
) -> None:
    with page_of_somebody_else() as port:
        for door in DOORS:
            signed_in.goto(f"http://{host}:{port}/")
            said = signed_in.evaluate(ATTACK, {"base": doors.url(door, ""), "mutation": MUTATION})
            assert len(said) > 25, "the page has tried"
            assert {name: became for name, became in said.items() if became in ("200", "open")} == {}
    assert passed(behind) == set()
    signed_in.goto(doors.url("dashboard"))
    signed_in.get_by_text("ours").wait_for()  # nobody signed them out


@pytest.mark.browser
def test_a_name_that_was_bound_anew_does_nothing(signed_in: Any, doors: OpenDoors, behind: dict[str, Recorded]) -> None:
    for door in DOORS:
        base = f"http://{EVIL}:{doors.port(door)}"
        signed_in.goto(f"{base}/")
        said = signed_in.evaluate(ATTACK, {"base": base, "mutation": MUTATION})
        assert {name: became for name, became in said.items() if became in ("200", "open")} == {}
    assert passed(behind) == set()


@pytest.mark.browser
@pytest.mark.parametrize("host", [EVIL, "127.0.0.1"])
def test_a_link_elsewhere_opens_our_page_and_changes_nothing(
    signed_in: Any, doors: OpenDoors, behind: dict[str, Recorded], host: str
) -> None:
    with page_of_somebody_else() as port:
        for target in ("/", "/graphql?query=mutation%7Bstop%7D"):
            signed_in.goto(f"http://{host}:{port}/")
            # Not at once: the call itself must have answered before its page goes.
            signed_in.evaluate("to => { setTimeout(() => { location = to }) }", doors.url("dagster", target))
            signed_in.wait_for_url(lambda url: url.startswith(doors.url("dagster", "")))
            signed_in.wait_for_load_state()
    assert passed(behind) <= {("GET", "/"), ("GET", "/favicon.ico")}


@pytest.mark.browser
def test_our_pages_stand_in_no_frame_and_give_no_handle(signed_in: Any, doors: OpenDoors) -> None:
    with page_of_somebody_else() as port:
        signed_in.goto(f"http://127.0.0.1:{port}/")
        with signed_in.expect_popup() as opened:
            signed_in.evaluate("to => { window.handle = open(to) }", doors.url("dashboard"))
        opened.value.get_by_text("ours").wait_for()
        assert signed_in.evaluate("() => handle.closed"), "the opener has lost it"
        opened.value.goto(f"http://127.0.0.1:{port}/")
        opened.value.evaluate(
            "to => { const f = document.createElement('iframe'); f.src = to; document.body.append(f) }",
            doors.url("dashboard"),
        )
        opened.value.wait_for_timeout(1500)
        assert [frame for frame in opened.value.frames if "ours" in frame.content()] == []
