"""`python -m streams.recorder.rebuild FILE...`: one JSON document per recorded file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from streams.recorder.rebuild.rebuild import rebuild

for argument in sys.argv[1:]:
    print(json.dumps(vars(rebuild(Path(argument)))))
