import shutil
from contextlib import nullcontext

import cv2
import numpy as np
import pytest
from mmdet.datasets import XMLDataset
from mmengine.dataset import BaseDataset

from mmadasap import fileio
from mmadasap.corruption import corrupt
from mmadasap.corruption.build import build
from mmadasap.corruption.manifest import StoredCopy, cell_path, read_copy
from mmadasap.corruption.reading import read_image
from mmadasap.corruption.settings import Settings
from mmadasap.datasets.shapes import CLASSES, draw_scene, write_shapes
from mmadasap.errors import UserError
from mmadasap.evaluation.loaders import clean_loader, corrupted_loader
from mmadasap.evaluation.models import about_stored
from mmadasap.evaluation.stored import Sample, check_copies, check_same_images, stored_loader
from mmadasap.registry import DATASETS

FOG = Settings(('fog', ))


def copy_of(root, out, settings=FOG):
    build(str(root), str(out), settings, show_progress=False)
    return str(out)


def voc_loader(root, **changes):
    return dict(dataset=dict(
        type='mmadasap.VOCDataset', data_root=str(root), ann_file='ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root=''), test_mode=True, metainfo=dict(classes=CLASSES), pipeline=[]) | changes)


def check(loader, folder, cells=(('fog', 3), )):
    copies = {cell: read_copy(f'{folder}/{cell_path(*cell)}') for cell in cells}
    check_copies(loader, clean_loader(loader), folder, copies)


@pytest.fixture
def voc(tmp_path):
    write_shapes(str(tmp_path / 'voc'), train=1, test=2)
    return tmp_path / 'voc'


def test_stored_images_are_the_ones_made_on_the_fly(voc, tmp_path):
    copy_of(voc, tmp_path / 'c', Settings(('snow', )))
    loader = voc_loader(voc, pipeline=[
        dict(type='LoadImageFromFile'), dict(type='mmdet.PackDetInputs', meta_keys=('img_id', ))])
    fly, stored = (DATASETS.build(c['dataset']) for c in (
        corrupted_loader(loader, 'snow', 3), stored_loader(loader, str(tmp_path / 'c'), 'snow', 3)))
    for a, b in zip(fly, stored):
        assert (a['inputs'] == b['inputs']).all() and a['data_samples'].img_id == b['data_samples'].img_id
    first = fly.get_data_info(0)
    image, _ = read_image(first['img_path'])
    expected = corrupt(image, 'snow', 3, first['img_id'])[..., ::-1].transpose(2, 0, 1)
    assert (fly[0]['inputs'].numpy() == expected).all()


@pytest.mark.parametrize('other, message', [
    (Settings(('snow', ), format='jpg'), 'written with format=jpg and fog/3 with png'),
    (Settings(('snow', ), seed=7), 'written with seed=7 and fog/3 with 0')])
def test_copies_that_were_not_written_alike_have_no_mean(voc, tmp_path, other, message):
    folder = copy_of(voc, tmp_path / 'c')
    about = about_stored(folder, [('fog', 3)])
    assert (about['format'], about['seed'], about['note']) == ('png', 0, '')
    copy_of(voc, tmp_path / 'c', other)
    with pytest.raises(UserError, match=f'snow/3 was {message}; build them alike, or test them one by one'):
        about_stored(folder, [('fog', 3), ('snow', 3)])


def test_a_copy_is_of_one_data_set(voc, tmp_path):
    part = dict(pipeline=[])
    with pytest.raises(UserError, match='joins 2 data sets, and a stored copy is of one'):
        stored_loader(dict(dataset=dict(datasets=[part, part])), copy_of(voc, tmp_path / 'c'), 'fog', 3)


def test_a_cell_that_is_not_stored_is_named(tmp_path):
    with pytest.raises(UserError, match='fog/3.* holds no corrupted copy; write it with tools/build_corrupted_dataset'):
        stored_loader(dict(dataset=dict(pipeline=[])), str(tmp_path), 'fog', 3)


def samples(*rows):
    """Of 'id truth' or 'id truth file'."""
    parts = [(row.split() + [''])[:3] for row in rows]
    return [Sample(name, file and f'fog/3/{file}', truth) for name, truth, file in parts]


@pytest.mark.parametrize('clean, found, message', [
    (['a 1', 'b 2'], ['a 1 a.png', 'b 2 b.png'], None), (['x/1.jpg 1'], ['x/1.png 1 ./x/1.png'], None),
    (['a 1', 'b 1'], ['b 1 b.png', 'a 1 a.png'], "gives 'fog/3/b.png' where the test set has image 'a'"),
    (['a 1'], ['a 1 a.png', 'b 1 b.png'], "gives 'fog/3/b.png' where the test set has image None"),
    (['a 1', 'b 1'], ['a 1 a.png'], "gives None where the test set has image 'b'"),
    (['a 1'], ['a 1 ../../clean/a.png'], "gives 'fog/3/../../clean/a.png' where the test set has image 'a'"),
    (['a 1', 'b 1'], ['a 1 a.png', 'b 2 b.png'], "gives image 'b' other labels or boxes than the test set"),
])
def test_a_copy_gives_the_images_and_labels_that_are_tested(clean, found, message):
    stored = StoredCopy({}, {}, {'a': 'a.png', 'b': 'b.png', 'x/1.jpg': 'x/1.png'}, '')
    with pytest.raises(UserError, match=message) if message else nullcontext():
        check_same_images('fog/3', stored, samples(*clean), samples(*found))


def test_other_images_of_the_same_names_are_refused(voc, tmp_path):
    folder = copy_of(voc, tmp_path / 'c')
    check(voc_loader(voc), folder)
    write_shapes(str(tmp_path / 'other'), train=1, test=2, seed=5)
    with pytest.raises(UserError, match="00001.jpg' is not the image that .*fog/3' was made of"):
        check(voc_loader(tmp_path / 'other'), folder)
    (voc / 'ImageSets/Main/test.txt').write_text('00002\n00003\n')
    for suffix in ('JPEGImages/{}.jpg', 'Annotations/{}.xml'):
        shutil.copy(voc / suffix.format('00002'), voc / suffix.format('00003'))
    with pytest.raises(UserError, match="knows no image '00003' of the test set"):
        check(voc_loader(voc), folder)


def test_annotations_that_were_changed_since_are_refused(voc, tmp_path):
    folder = copy_of(voc, tmp_path / 'c')
    path = voc / 'Annotations/00002.xml'
    path.write_text(path.read_text().replace('<xmin>', '<xmin>1'))
    with pytest.raises(UserError, match="gives image '00002' other labels or boxes than the test set"):
        check(voc_loader(voc), folder)


def test_every_image_is_read_once_whatever_the_number_of_copies(voc, tmp_path, monkeypatch):
    folder = copy_of(voc, tmp_path / 'c', Settings(('fog', 'contrast'), (1, 3)))
    digest, read = fileio.file_digest, []
    monkeypatch.setattr(fileio, 'file_digest', lambda path: read.append(path) or digest(path))
    for _ in range(2):
        check(voc_loader(voc), folder, [(name, severity) for name in ('fog', 'contrast') for severity in (1, 3)])
    assert sorted(read) == [str(voc / f'JPEGImages/{name}.jpg') for name in ('00001', '00002')]


class MyVOC(XMLDataset):
    """As users write them: their classes, and nothing about suffixes."""

    METAINFO = dict(classes=('disk', 'star'))


def degenerate(voc):
    """A box without area, which mmdet's data sets keep and ours drops."""
    path = voc / 'Annotations/00001.xml'
    box = '<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>5</xmax><ymax>9</ymax></bndbox>'
    path.write_text(path.read_text().replace(
        '</annotation>', f'<object><name>disk</name><difficult>0</difficult>{box}</object></annotation>'))


@pytest.mark.parametrize('kind', ['png', 'jpg', 'webp'])
@pytest.mark.parametrize('type_, metainfo', [
    ('mmdet.VOCDataset', dict(classes=CLASSES)), ('mmdet.VOCDataset', dict(classes=('disk', 'star'))), (MyVOC, None),
    ('mmadasap.VOCDataset', dict(classes=CLASSES))])
def test_the_data_set_stays_the_users_in_every_format(voc, tmp_path, type_, metainfo, kind):
    degenerate(voc)
    loader = voc_loader(voc, type=type_, metainfo=metainfo, pipeline=[dict(type='LoadImageFromFile')])
    folder = copy_of(voc, tmp_path / 'c', Settings(('fog', ), format=kind))
    check(loader, folder)
    clean, found = (DATASETS.build(c['dataset']) for c in (loader, stored_loader(loader, folder, 'fog', 3)))
    assert isinstance(found, type(clean)) and found.metainfo['classes'] == clean.metainfo['classes']
    assert found[1]['img_path'] == f'{folder}/fog/3/JPEGImages/00002.{kind}' and found[1]['img'].ndim == 3


@pytest.mark.parametrize('kind', ['png', 'jpg'])
def test_the_suffix_of_the_copy_goes_before_that_of_the_config(voc, tmp_path, kind):
    for path in (voc / 'JPEGImages').iterdir():
        cv2.imwrite(str(path.with_suffix('.png')), cv2.imread(str(path)))
        path.unlink()
    check(voc_loader(voc, img_suffix='.png'), copy_of(voc, tmp_path / 'c', Settings(('fog', ), format=kind)))


def test_a_data_set_of_another_family_is_told_to_take_jpg(voc, tmp_path):
    loader = voc_loader(voc, type=BaseDataset)
    with pytest.raises(UserError, match='BaseDataset is no XMLDataset of mmdet.* build the copy with --format jpg'):
        stored_loader(loader, copy_of(voc, tmp_path / 'c'), 'fog', 3)
    assert stored_loader(loader, copy_of(voc, tmp_path / 'j', Settings(('fog', ), format='jpg')), 'fog', 3)


def write_classes(root, names):
    """A folder a class, and a list that numbers the classes by their names."""
    rows = [f'{name}/{i}.png' for name in names for i in range(2)]
    for i, row in enumerate(rows):
        (root / row).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / row), draw_scene(i)[0][:32, :32])
    (root.parent / 'list.txt').write_text(''.join(f'{row} {row.split("/")[0]}\n' for row in rows))


def classes_loader(root, **changes):
    return dict(dataset=dict(
        type='mmpretrain.CustomDataset', data_root=str(root), pipeline=[], test_mode=True) | changes)


@pytest.mark.parametrize('names, message', [
    (('0', '1', '2'), None),
    (('0', '1', '10', '2'), "image '10/0.png' other labels or boxes than the test set; .* from an ann_file")])
def test_labels_of_a_list_are_not_taken_from_folders_in_silence(tmp_path, names, message):
    pytest.importorskip('mmpretrain')
    write_classes(tmp_path / 'set', names)
    loader = classes_loader(tmp_path / 'set', ann_file=str(tmp_path / 'list.txt'))
    folder = copy_of(tmp_path / 'set', tmp_path / 'c')
    labels = [DATASETS.build(clean_loader(loader)['dataset']).get_data_info(i)['gt_label'] for i in range(4)]
    assert np.array_equal(labels, [0, 0, 1, 1])
    with pytest.raises(UserError, match=message) if message else nullcontext():
        check(loader, folder)


@pytest.mark.parametrize('kind', ['png', 'jpg', 'webp'])
def test_folders_are_read_in_every_format(tmp_path, kind):
    pytest.importorskip('mmpretrain')
    write_classes(tmp_path / 'set', ('cat', 'dog'))
    check(classes_loader(tmp_path / 'set', extensions=['.png']),
          copy_of(tmp_path / 'set', tmp_path / 'c', Settings(('fog', ), format=kind)))


def test_a_data_set_that_reads_no_such_folders_is_named(tmp_path):
    pytest.importorskip('mmpretrain')
    write_classes(tmp_path / 'set/imagenetv2-matched-frequency-format-val', ('0', '1'))
    loader = classes_loader(tmp_path / 'set', type='mmadasap.ImageNetV2', metainfo=dict(classes=('a', 'b')))
    folder = copy_of(tmp_path / 'set/imagenetv2-matched-frequency-format-val', tmp_path / 'c')
    with pytest.raises(UserError, match='a copy in folder layout, and the type of the test set, ImageNetV2, does not'):
        check(loader, folder)
