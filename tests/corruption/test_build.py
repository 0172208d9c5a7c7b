import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmadasap.corruption import build as building
from mmadasap.corruption import corrupt, shared
from mmadasap.corruption.build import build
from mmadasap.corruption.names import CORRUPTIONS
from mmadasap.corruption.reading import read_image
from mmadasap.corruption.settings import Settings
from mmadasap.datasets.shapes import draw_scene, write_shapes
from mmadasap.errors import UserError
from tests.corruption.trees import tree

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(('fog', 'glass_blur'), (1, 3))


def make(root, out, settings=SETTINGS, **kwargs):
    return build(str(root), str(out), settings, show_progress=False, **kwargs)


@pytest.fixture(scope='module')
def voc(tmp_path_factory):
    """40 test images of 64 pixels: three chunks of records."""
    root = tmp_path_factory.mktemp('voc') / 'data'
    write_shapes(str(root), train=1, test=40)
    for path in (root / 'JPEGImages').iterdir():
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (64, 48)))
    return root


@pytest.fixture(scope='module')
def whole(voc, tmp_path_factory):
    out = tmp_path_factory.mktemp('whole') / 'c'
    return make(voc, out), out


def test_every_image_is_the_one_that_corrupt_gives(voc, whole):
    report, out = whole
    assert (report.images, report.written, report.refused) == (40, 160, [])
    for image_id in ('00001', '00040'):
        image, _ = read_image(str(voc / f'JPEGImages/{image_id}.jpg'))
        for severity in (1, 3):
            stored, _ = read_image(str(out / f'fog/{severity}/JPEGImages/{image_id}.png'))
            assert np.array_equal(stored, corrupt(image, 'fog', severity, image_id))


def test_annotations_are_there_once_and_linked(voc, whole):
    _, out = whole
    assert os.readlink(out / 'fog/3/Annotations') == '../../Annotations'
    name = 'Annotations/00001.xml'
    assert (out / 'glass_blur/1' / name).read_bytes() == (voc / name).read_bytes()
    assert (out / 'fog/1/ImageSets/Main/test.txt').read_text() == (voc / 'ImageSets/Main/test.txt').read_text()
    assert not (out / '.partial').exists()


def test_workers_and_shards_write_the_same_bytes(voc, whole, tmp_path):
    make(voc, tmp_path / 'workers', workers=3)
    parts = [make(voc, tmp_path / 'shards', shard=(i, 3)) for i in (3, 1, 2)]
    assert sum(p.images for p in parts) == 40 and sum(p.written for p in parts) == 160
    expected = tree(whole[1])
    assert tree(tmp_path / 'workers') == expected and tree(tmp_path / 'shards') == expected


def test_shards_written_apart_are_merged_by_putting_files_together(voc, whole, tmp_path):
    for i in (1, 2):
        make(voc, tmp_path / f'part{i}', shard=(i, 2))
    files = [{p for p, kind in tree(tmp_path / f'part{i}').items() if p.endswith(('.png', '.jsonl'))} for i in (1, 2)]
    assert not files[0] & files[1]
    shutil.rmtree(tmp_path / 'part1/.partial')
    shutil.rmtree(tmp_path / 'part2/.partial')
    shutil.copytree(tmp_path / 'part2', tmp_path / 'part1', symlinks=True, dirs_exist_ok=True,
                    copy_function=shutil.copy2, ignore=lambda d, names: [n for n in names if Path(d, n).is_symlink()])
    assert tree(tmp_path / 'part1') == tree(whole[1])


def test_a_second_run_writes_nothing_and_a_lost_file_is_written_again(voc, whole, tmp_path):
    shutil.copytree(whole[1], tmp_path / 'c', symlinks=True)
    assert make(voc, tmp_path / 'c').written == 0
    (tmp_path / 'c/fog/3/JPEGImages/00007.png').unlink()
    (tmp_path / 'c/glass_blur/1/JPEGImages/00030.png').write_bytes(b'half')
    assert 2 <= make(voc, tmp_path / 'c').written <= 32
    assert tree(tmp_path / 'c') == tree(whole[1])


def test_an_image_that_was_changed_since_is_written_again(voc, whole, tmp_path):
    shutil.copytree(voc, tmp_path / 'voc')
    shutil.copytree(whole[1], tmp_path / 'c', symlinks=True)
    assert make(tmp_path / 'voc', tmp_path / 'c').written == 0
    [changed, touched] = [tmp_path / f'voc/JPEGImages/{name}.jpg' for name in ('00007', '00030')]
    cv2.imwrite(str(changed), 255 - cv2.imread(str(changed)))
    touched.touch()
    # The chunk of 16 images it is in, in four cells.
    assert make(tmp_path / 'voc', tmp_path / 'c').written == 4 * 16
    stored, (pixels, _) = cv2.imread(str(tmp_path / 'c/fog/3/JPEGImages/00007.png')), read_image(str(changed))
    assert np.array_equal(stored[..., ::-1], corrupt(pixels, 'fog', 3, '00007'))
    assert make(tmp_path / 'voc', tmp_path / 'c').written == 0


def test_more_corruptions_join_what_is_there(voc, whole, tmp_path):
    for part in ('fog', 'manifest/fog'):
        shutil.copytree(whole[1] / part, tmp_path / 'c' / part, symlinks=True)
    for part in ('Annotations', 'ImageSets'):
        shutil.copytree(whole[1] / part, tmp_path / 'c' / part)
    assert make(voc, tmp_path / 'c').written == 80
    assert tree(tmp_path / 'c') == tree(whole[1])


@pytest.mark.slow
def test_a_kill_at_any_moment_spoils_nothing(voc, whole, tmp_path):
    command = [sys.executable, str(ROOT / 'tools/build_corrupted_dataset.py'), str(voc), '--out', str(tmp_path / 'c'),
               '--corruptions', 'fog', 'glass_blur', '--severities', '1', '3', '--workers', '2']
    env = os.environ | dict(PYTHONPATH=str(ROOT), CI='true')
    left = []
    for _ in range(4):
        run = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
        begun = len(list(tmp_path.rglob('*.png')))
        deadline = time.time() + 60
        # Some images further than the last time, and then somewhere in the middle of things.
        while len(list(tmp_path.rglob('*.png'))) < begun + 9 and run.poll() is None and time.time() < deadline:
            time.sleep(0.005)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        left.append(len(list(tmp_path.rglob('*.png'))))
    assert 0 < left[0] < 160
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    assert tree(tmp_path / 'c') == tree(whole[1])


def test_formats(voc, tmp_path):
    image, _ = read_image(str(voc / 'JPEGImages/00001.jpg'))
    expected = corrupt(image, 'fog', 1, '00001').astype(int)
    for kind, quality, most in (('jpg', 95, 40), ('webp', 90, 60), ('webp', 100, 0), ('png', 50, 0)):
        out = tmp_path / f'{kind}{quality}'
        make(voc, out, Settings(('fog', ), (1, ), kind, quality, limit=1))
        stored, _ = read_image(str(out / f'fog/1/JPEGImages/00001.{kind}'))
        assert abs(stored - expected).max() <= most
        header = json.loads((out / 'manifest/fog/1/header.json').read_text())
        assert header['lossy'] == bool(most) and header['source']['images'] == 1


def test_coco(tmp_path):
    root = tmp_path / 'coco'
    (root / 'val2017/sub').mkdir(parents=True)
    (root / 'annotations').mkdir()
    names = ['1.jpg', 'sub/2.jpeg', 'missing.jpg']
    for i, name in enumerate(names[:2]):
        cv2.imwrite(str(root / 'val2017' / name), draw_scene(i)[0][:40, :50])
    content = dict(info=dict(a=1), categories=[dict(id=1, name='x')],
                   images=[dict(id=10 * i, file_name=name, width=50, height=40) for i, name in enumerate(names)],
                   annotations=[dict(id=i, image_id=10 * i, bbox=[1, 2, 3, 4]) for i in range(3)])
    (root / 'annotations/instances_val2017.json').write_text(json.dumps(content))
    report = make(root, tmp_path / 'c', Settings(('fog', )))
    assert report.refused == [('val2017/missing.jpg', 'cannot be read (No such file or directory)')]
    image, _ = read_image(str(root / 'val2017/sub/2.jpeg'))
    stored, _ = read_image(str(tmp_path / 'c/fog/3/val2017/sub/2.png'))
    assert np.array_equal(stored, corrupt(image, 'fog', 3, '10'))
    shared = json.loads((tmp_path / 'c/fog/3/annotations/instances_val2017.json').read_text())
    assert [entry['file_name'] for entry in shared['images']] == ['1.png', 'sub/2.png', 'missing.png']
    assert shared['annotations'] == content['annotations'] and shared['info'] == dict(a=1)
    (tmp_path / 'other').mkdir()
    limited = make(root, tmp_path / 'limited', Settings(('fog', ), limit=1))
    shared = json.loads((tmp_path / 'limited/annotations/instances_val2017.json').read_text())
    assert limited.images == 1 and [a['image_id'] for a in shared['annotations']] == [0]


def test_folders_of_images_keep_their_classes(tmp_path):
    for i, name in enumerate(['cat/1.JPEG', 'dog/1.jpg', 'dog/deep/2.png', 'top.png']):
        (tmp_path / 'set' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'set' / name).write_bytes(cv2.imencode('.png', draw_scene(i)[0][:32, :32])[1].tobytes())
    (tmp_path / 'set/notes.txt').write_text('no image')
    make(tmp_path / 'set', tmp_path / 'c', Settings(('fog', )))
    files = sorted(str(p.relative_to(tmp_path / 'c/fog/3')) for p in (tmp_path / 'c/fog/3').rglob('*.png'))
    assert files == ['cat/1.png', 'dog/1.png', 'dog/deep/2.png', 'top.png']
    image, _ = read_image(str(tmp_path / 'set/cat/1.JPEG'))
    stored, _ = read_image(str(tmp_path / 'c/fog/3/cat/1.png'))
    assert np.array_equal(stored, corrupt(image, 'fog', 3, 'cat/1.JPEG'))
    assert make(tmp_path / 'set', tmp_path / 'one', Settings(('fog', ), limit=1)).images == 1
    assert (tmp_path / 'one/fog/3/dog/deep').is_dir()


def test_one_folder_of_a_data_set(tmp_path):
    for i, name in enumerate(['train/cat/1.png', 'test/cat/2.png', 'test/dog/3.png']):
        (tmp_path / 'set' / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / 'set' / name), draw_scene(i)[0][:32, :32])
    make(tmp_path / 'set', tmp_path / 'c', Settings(('fog', ), split='test'))
    cell = tmp_path / 'c/fog/3'
    assert sorted(str(p.relative_to(cell)) for p in cell.rglob('*.png')) == ['test/cat/2.png', 'test/dog/3.png']
    image, _ = read_image(str(tmp_path / 'set/test/cat/2.png'))
    stored, _ = read_image(str(cell / 'test/cat/2.png'))
    assert np.array_equal(stored, corrupt(image, 'fog', 3, 'test/cat/2.png'))
    for split in ('val', '..', 'test/../../set'):
        with pytest.raises(UserError, match=f'--split {split}: .* holds no folder of that name'):
            make(tmp_path / 'set', tmp_path / 'other', Settings(('fog', ), split=split))


def test_the_layout_is_said_and_a_folder_of_voc_data_sets_is_none(voc, tmp_path, capsys):
    make(voc, tmp_path / 'c', Settings(('fog', ), limit=1))
    assert f"{str(voc)!r} is read in voc layout: 1 images." in capsys.readouterr().out
    for split in (None, 'data'):
        with pytest.raises(UserError, match=r"is no data set in VOC layout but holds some \(data\); give '.*/data'"):
            make(voc.parent, tmp_path / 'other', Settings(('fog', ), split=split))
    assert not (tmp_path / 'other').exists()


def test_runs_for_other_corruptions_may_write_at_the_same_time(voc, whole, tmp_path):
    command = [sys.executable, str(ROOT / 'tools/build_corrupted_dataset.py'), str(voc), '--out', str(tmp_path / 'c'),
               '--severities', '1', '3', '--workers', '1', '--corruptions']
    env = os.environ | dict(PYTHONPATH=str(ROOT), CI='true')
    runs = [subprocess.Popen([*command, name], env=env, stdout=subprocess.DEVNULL) for name in ('fog', 'glass_blur')]
    assert [run.wait() for run in runs] == [0, 0]
    assert tree(tmp_path / 'c') == tree(whole[1])


def test_annotations_changed_at_the_source_are_not_overlooked(voc, whole, tmp_path):
    shutil.copytree(whole[1], tmp_path / 'c', symlinks=True)
    shutil.copytree(voc, tmp_path / 'data')
    path = tmp_path / 'data/Annotations/00001.xml'
    path.write_text(path.read_text().replace('disk', 'star') + ' ')
    with pytest.raises(UserError, match='Annotations/00001.xml. belongs to a copy of other images'):
        make(tmp_path / 'data', tmp_path / 'c')


def test_too_little_space_is_said_before_anything_is_written(voc, tmp_path, monkeypatch):
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(building.shutil, 'disk_usage', lambda path: usage(10, 5, 5))
    with pytest.raises(UserError, match=r'About 0.0 GB are needed in .* and 0.0 GB are free'):
        make(voc, tmp_path / 'c')
    assert {p.name for p in (tmp_path / 'c').rglob('*')} <= {'.partial'}


@pytest.mark.parametrize('change, message', [
    (dict(seed=1), 'belongs to a copy of other images or with other settings'),
    (dict(format='jpg'), 'belongs to a copy of other images or with other settings'),
    (dict(limit=3), 'belongs to a copy of other images or with other settings'),
])
def test_settings_do_not_mix(voc, whole, change, message):
    before = tree(whole[1])
    with pytest.raises(UserError, match=message):
        make(voc, whole[1], Settings(('fog', ), (1, ), **change))
    shutil.rmtree(whole[1] / '.partial', ignore_errors=True)
    assert tree(whole[1]) == before


def test_a_copy_is_not_completed_with_other_libraries(voc, whole, tmp_path, monkeypatch):
    shutil.copytree(whole[1], tmp_path / 'c', symlinks=True)
    (tmp_path / 'c/fog/3/JPEGImages/00007.png').unlink()
    before = tree(tmp_path / 'c')
    monkeypatch.setattr(shared, 'library_versions', lambda: dict(numpy='9'))
    with pytest.raises(UserError, match='was begun with numpy .*; here are numpy 9, and pixels may differ'):
        make(voc, tmp_path / 'c')
    shutil.rmtree(tmp_path / 'c/.partial')
    assert tree(tmp_path / 'c') == before


def test_a_copy_whose_header_tells_more_of_its_data_set_goes_on(voc, whole, tmp_path):
    shutil.copytree(whole[1], tmp_path / 'c', symlinks=True)
    path = tmp_path / 'c/manifest/fog/3/header.json'
    header = json.loads(path.read_text())
    path.write_text(json.dumps(header | dict(dataset=header['dataset'] | dict(type='mmadasap.VOCDataset'))))
    assert make(voc, tmp_path / 'c').written == 0


def test_a_file_system_without_links_is_named_before_anything_is_written(voc, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.EOPNOTSUPP, 'Operation not supported')

    monkeypatch.setattr(os, 'symlink', refuse)
    with pytest.raises(UserError, match=r'makes no symbolic links \(Operation not supported\), .* on another'):
        make(voc, tmp_path / 'c')
    assert [path.name for path in (tmp_path / 'c').rglob('*')] == ['.partial']


@pytest.mark.parametrize('out', ['data/copy', '.', 'data', 'link'])
def test_out_and_source_must_lie_apart(voc, out):
    link = voc.parent / 'link'
    if not link.exists():
        link.symlink_to(voc / 'JPEGImages')
    before = tree(voc)
    with pytest.raises(UserError, match='lie one in the other'):
        make(voc, voc.parent / out)
    assert tree(voc) == before


@pytest.mark.parametrize('kwargs, message', [
    (dict(shard=(0, 2)), 'shard 0/2 must be i/n'), (dict(shard=(3, 2)), 'shard 3/2 must be i/n'),
    (dict(workers=0), 'workers=0 must be at least 1')])
def test_wrong_shards_and_workers(voc, tmp_path, kwargs, message):
    with pytest.raises(UserError, match=message):
        make(voc, tmp_path / 'c', **kwargs)


def test_workers_start_after_threads_of_opencv_have_run(voc, whole, tmp_path):
    image, threads = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8), cv2.getNumThreads()
    try:
        for used in (1, 2, 4):  # After this, forked workers hang.
            cv2.setNumThreads(used)
            for name in CORRUPTIONS:
                corrupt(image, name, 3, 'image')
        make(voc, tmp_path / 'c', workers=2)
    finally:
        cv2.setNumThreads(threads)
    assert tree(tmp_path / 'c') == tree(whole[1])
