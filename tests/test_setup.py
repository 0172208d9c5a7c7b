"""The installed package is whole: configs and tools lie in it."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIG = 'quickstart/ssd256_r50-w16_adasap-p-macs50_shapes.py'


def names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob('*') if path.suffix in ('.py', '.sh')}


@pytest.mark.slow
def test_an_installed_package_has_its_configs_and_tools(tmp_path):
    source, wheels, place = (tmp_path / name for name in ('source', 'wheels', 'place'))
    # What an earlier build has left would go into the wheel.
    shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(
        '.*v', '.git', 'build', '*.egg-info', 'data', 'work_dirs', '__pycache__'))
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q']
    subprocess.run([*pip, 'wheel', '--no-deps', '--no-build-isolation', '-w', wheels, source], check=True)
    [wheel] = wheels.iterdir()
    subprocess.run([*pip, 'install', '--no-deps', '--target', place, wheel], check=True)
    files = place / 'mmadasap/.mim'
    for kind in ('configs', 'tools'):
        assert names(files / kind) == names(source / kind)
    mine = tmp_path / 'mine.py'
    mine.write_text(f'_base_ = {str(files / "configs" / CONFIG)!r}\n')
    env = os.environ | dict(PYTHONPATH=str(place))
    shown = subprocess.run([sys.executable, files / 'tools/print_groups.py', mine], cwd=tmp_path, env=env, text=True,
                           capture_output=True)
    assert shown.returncode == 0 and 'backbone.layer1.0.conv1' in shown.stdout, shown.stderr
