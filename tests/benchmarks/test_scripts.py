"""Every benchmark starts as its head says, from the project's folder and with nothing else on the path."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'benchmarks').rglob('*.py')
                 if "__name__ == '__main__'" in path.read_text())


def test_there_are_scripts():
    assert len(SCRIPTS) >= 8


@pytest.mark.slow
@pytest.mark.parametrize('script', SCRIPTS)
def test_it_starts(script):
    env = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    done = subprocess.run([sys.executable, script, '--help'], cwd=ROOT, env=env, text=True, capture_output=True)
    assert done.returncode == 0 and 'usage: ' in done.stdout, done.stderr[-2000:]
