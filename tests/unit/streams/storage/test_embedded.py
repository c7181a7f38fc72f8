"""What the embedded server minds before it starts."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from streams.settings import Settings
from streams.storage.database import embedded_server


def test_a_start_waits_until_a_killed_server_has_left_the_process_table(tmp_path: Path) -> None:
    server = embedded_server(Settings(_env_file=None, home=tmp_path))
    server.data_dir.mkdir(parents=True)
    killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (server.data_dir / "postmaster.pid").write_text(f"{killed.pid}\n{server.data_dir}\n")
    killed.kill()
    while Path(f"/proc/{killed.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        pass
    reaper = threading.Timer(0.3, killed.wait)
    reaper.start()
    assert server.running_pid() is None
    server._wait_for_burial(60.0)
    assert not Path(f"/proc/{killed.pid}").exists()
    reaper.join()
    server.destroy()
