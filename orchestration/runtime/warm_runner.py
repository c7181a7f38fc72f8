"""The warm runner: one process that has Dagster, dbt and all definitions imported, and forks a child per run.

`python -m orchestration.runtime.warm_runner` listens on the socket of `warm_protocol` until SIGTERM or SIGINT, then
asks its children to end and waits for them. It has one thread, no connection and no secret, so that a fork carries
none: the process of a run asks for its own (`streams.processes.handover`). When a module of ours has changed on disk it
refuses, starts itself anew in place, and keeps its children.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from orchestration.runtime.warm_protocol import receive, send, socket_path
from streams.log_files import write_line
from streams.outermost import run_guarded
from streams.process_id import boot_id, start_ticks
from streams.processes.handover import listen_at, take_secrets
from streams.processes.loaded_memory import settle_loaded_memory
from streams.processes.parts import Process
from streams.redaction import redact_text
from streams.settings import PROJECT_ROOT, load_settings

DEFINITIONS_MODULE = "orchestration.definitions"
_PRELOADED = ("dagster", "dagster._cli", "dagster_postgres", "dagster_dbt", "dbt.cli.main", "dbt.adapters.postgres")
_END_LIMIT_S = 30.0


class WarmRunner:
    """The server; `serve` returns when it was asked to end.

    Args:
        path: Where to listen.
        modules: Modules to import beforehand; from each that has `defs`, the repository is built as well.
        children: Processes to take over from the process this one replaces.
    """

    def __init__(self, path: Path, modules: Sequence[str], children: Sequence[int] = ()) -> None:
        self._path = path
        self._modules = list(modules)
        self._children = set(children)
        self._is_ending = False
        self._stamps: dict[str, float] = {}

    def serve(self) -> None:
        """Import everything, listen, and fork until SIGTERM; then end the children."""
        self._preload()
        listener = listen_at(self._path)
        waker, wakeup = socket.socketpair()
        waker.setblocking(False)
        wakeup.setblocking(False)
        signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_end)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with contextlib.suppress(OSError):
            print(f"warm runner listens on {self._path}", flush=True)
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(waker, selectors.EVENT_READ)
            while not self._is_ending:
                for key, _ in selector.select():
                    if key.fileobj is waker:
                        waker.recv(4096)
                    elif key.fileobj is listener:
                        self._accept(listener, [selector.fileno(), waker.fileno(), wakeup.fileno()])
                self._reap()
        listener.close()
        self._path.unlink(missing_ok=True)
        self._end_children()

    def _preload(self) -> None:
        for name in _PRELOADED:
            importlib.import_module(name)
        for name in self._modules:
            definitions = getattr(importlib.import_module(name), "defs", None)
            if definitions is not None:
                definitions().get_repository_def().load_all_definitions()
        self._stamps = _module_stamps()
        settle_loaded_memory()

    def _on_end(self, *_: object) -> None:
        self._is_ending = True

    def _accept(self, listener: socket.socket, inherited: list[int]) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5.0)
            try:
                request = receive(connection)
                arguments = request.get("arguments")
                process = Process(str(request.get("process", Process.BATCH_RUN)))
                if not isinstance(arguments, list):
                    send(connection, {"refused": "no arguments"})
                    return
                if _module_stamps() != self._stamps:
                    send(connection, {"refused": "code has changed; starting anew"})
                    connection.close()
                    self._restart()
                pid = os.fork()
                if pid == 0:
                    _run_child(
                        process, [connection.fileno(), listener.fileno(), *inherited], [str(part) for part in arguments]
                    )
                self._children.add(pid)
                send(connection, {"pid": pid, "started": start_ticks(pid) or 0, "boot": boot_id()})
            except (OSError, ValueError) as error:
                write_line(f"warm runner: a request was dropped: {error}")

    def _restart(self) -> None:
        signal.set_wakeup_fd(-1)
        children = ",".join(str(pid) for pid in sorted(self._children))
        command = [sys.executable, "-m", "orchestration.runtime.warm_runner", f"--socket={self._path}"]
        command += [f"--module={name}" for name in self._modules] + [f"--children={children}"]
        os.execv(sys.executable, command)  # noqa: S606 - ourselves

    def _reap(self) -> None:
        for pid in list(self._children):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(pid)

    def _end_children(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _END_LIMIT_S
        while self._children and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.05)


def _run_child(process: Process, inherited: Sequence[int], arguments: list[str]) -> None:
    """Be the process of one run: a session of its own, default signals, then the stock command. Never returns."""
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor in inherited:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        take_secrets(load_settings(), process)
        code = _run_command(arguments)
    except BaseException as error:
        write_line(redact_text(f"run process failed: {type(error).__name__}: {error}"))
    finally:
        # Whatever the streams say: a fork that returned from here would be a second warm runner.
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _run_command(arguments: list[str]) -> int:
    from dagster._cli import create_dagster_cli
    from dagster._utils.interrupts import setup_interrupt_handlers

    setup_interrupt_handlers()
    try:
        command = create_dagster_cli()  # type: ignore[no-untyped-call]
        command.main(args=arguments, prog_name="dagster", standalone_mode=False)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1
    return 0


def _module_stamps() -> dict[str, float]:
    """Return file -> modification time of every loaded module that lies in our tree."""
    root = str(PROJECT_ROOT) + os.sep
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    stamps = {}
    for file in files:
        if file and file.startswith(root) and "site-packages" not in file:
            with contextlib.suppress(OSError):
                stamps[file] = Path(file).stat().st_mtime
    return stamps


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=Path, default=None)
    parser.add_argument("--module", action="append", default=[])
    parser.add_argument("--children", default="")
    options = parser.parse_args()
    path = options.socket or socket_path(load_settings())
    children = [int(pid) for pid in options.children.split(",") if pid]
    WarmRunner(path, options.module or [DEFINITIONS_MODULE], children).serve()


if __name__ == "__main__":
    sys.exit(run_guarded(main))
