from pathlib import Path

import pytest

from mmadasap.engine.resumption import is_finished


@pytest.mark.parametrize('written, named, finished', [
    (['epoch_2.pth'], 'epoch_2.pth', True),
    # Killed while it wrote the file, or before it named it.
    (['epoch_1.pth', 'epoch_2.pth'], 'epoch_1.pth', False),
    (['epoch_2.pth'], None, False),
    (['epoch_1.pth'], 'epoch_1.pth', False),
    ([], None, False),
])
@pytest.mark.parametrize('moved', [False, True])
def test_a_run_is_finished_once_its_last_checkpoint_is_named(tmp_path: Path, written, named, finished, moved):
    for name in written:
        (tmp_path / name).touch()
    if named:
        (tmp_path / 'last_checkpoint').write_text(str((Path('/elsewhere') if moved else tmp_path) / named))
    assert is_finished(str(tmp_path / 'epoch_2.pth')) == finished
