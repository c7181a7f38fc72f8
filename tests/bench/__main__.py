"""`make bench`: run every `bench_*.py` of this folder one after the other and write `.bench/results.json`.

Each script prints one JSON list of `{name, value, unit, baseline, baseline_value, ratio}` on stdout: a speed is only
claimed as a ratio against a baseline measured in the same run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / ".bench" / "results.json"


def main() -> int:
    """Run all scripts; return 1 when one failed."""
    results: list[dict[str, object]] = []
    failed = []
    for script in sorted(HERE.glob("bench_*.py")):
        module = f"tests.bench.{script.stem}"
        done = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, cwd=HERE.parents[1])
        if done.returncode != 0:
            failed.append(script.stem)
            print(f"{script.stem} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
            continue
        results += json.loads(done.stdout)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1))
    for row in results:
        ratio = f"  {float(str(row['ratio'])):.2f} x {row['baseline']}" if row.get("ratio") is not None else ""
        print(f"{row['name']:<44}{row['value']:>14} {row['unit']}{ratio}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
