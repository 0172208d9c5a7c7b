import logging
import pickle

import mmdet.datasets
import pytest
from mmengine.logging import MMLogger

from mmadasap.datasets import VOCDataset
from mmadasap.datasets.voc import classes_in, with_suffix
from mmadasap.errors import UserError

OBJECT = ('<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{0}</xmin><ymin>{1}</ymin>'
          '<xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>')


def write(folder, **annotations):
    """A VOC-layout folder with these annotation files and empty images: only their presence is checked."""
    for sub in ('Annotations', 'ImageSets/Main', 'JPEGImages'):
        (folder / sub).mkdir(parents=True)
    (folder / 'ImageSets/Main/trainval.txt').write_text('\n'.join(annotations) + '\n')
    for name, text in annotations.items():
        if text is not None:
            (folder / f'Annotations/{name}.xml').write_text(text)
            (folder / f'JPEGImages/{name}.jpg').write_bytes(b'')
    return folder


def scene(*boxes, name='cell'):
    size = '<size><width>64</width><height>48</height><depth>3</depth></size>'
    return f'<annotation>{size}{"".join(OBJECT.format(*box, name=name) for box in boxes)}</annotation>'


def load(folder, **kwargs):
    return VOCDataset(
        data_root=str(folder), ann_file='ImageSets/Main/trainval.txt', data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=('cell', )), pipeline=[], **kwargs)


def test_boxes_without_area_are_dropped_with_one_warning_naming_the_files(tmp_path, caplog):
    folder = write(
        tmp_path, a=scene((5, 5, 20, 20), (7, 9, 7, 30)), b=scene((1, 1, 10, 10)), c=scene((3, 8, 30, 8)))
    logger = MMLogger.get_instance('voc-test')
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger.addHandler(handler)
    data = load(folder)
    assert [len(data.get_data_info(i)['instances']) for i in range(3)] == [1, 1, 0]
    assert data.get_data_info(0)['instances'][0]['bbox'] == [4, 4, 19, 19]
    warnings = [m for m in messages if 'zero width or height' in m]
    assert len(warnings) == 1 and warnings[0].startswith('2 boxes')
    assert 'a.xml' in warnings[0] and 'c.xml' in warnings[0] and 'b.xml' not in warnings[0]


@pytest.mark.parametrize('text, message', [
    (None, 'is listed but missing'),
    ('', 'no readable XML'),
    ('<annotation><object>', 'no readable XML'),
    (scene((1, 1, 9, 9)).replace('<xmin>1</xmin>', ''), 'incomplete bndbox'),
    (scene((1, 1, 9, 9)).replace('<name>cell</name>', ''), 'without a name'),
    (scene((1, 1, 9, 9)).replace('<ymax>9</ymax>', '<ymax>nine</ymax>'), 'incomplete bndbox'),
    (scene((1, 1, 9, 9)).replace('<width>64</width>', ''), 'without whole width and height'),
    (scene((1, 1, 9, 9)).replace('<ymax>9</ymax>', '<ymax>inf</ymax>'), 'incomplete bndbox'),
    (scene((1, 1, 9, 9)).replace('<difficult>0</difficult>', '<difficult/>'), 'difficult that is no number'),
    (scene((1, 1, 9, 9)).replace('<difficult>0<', '<difficult>Unspecified<'), 'difficult that is no number'),
    ('<?xml version="1.0" encoding="GBK"?>' + scene((1, 1, 9, 9)), 'encoding that cannot be read .*; save it as UTF-8'),
    ('<?xml version="1.0" encoding="foo"?>' + scene((1, 1, 9, 9)), 'encoding that cannot be read .*foo'),
    (scene((1, 1, 9, 9), name='dog'), "class 'dog', which is not among the classes of the config"),
])
def test_what_is_wrong_with_an_annotation_is_said(tmp_path, text, message):
    folder = write(tmp_path, good=scene((1, 1, 9, 9)), bad=text)
    with pytest.raises(UserError, match=message) as error:
        load(folder)
    assert 'bad.xml' in str(error.value)


def test_blank_lines_of_the_list_are_no_images(tmp_path):
    folder = write(tmp_path, a=scene((1, 1, 9, 9)), b=scene((1, 1, 9, 9)))
    (folder / 'ImageSets/Main/trainval.txt').write_text('a\n\nb\n \n\n')
    data = load(folder)
    assert [data.get_data_info(i)['img_id'] for i in range(len(data))] == ['a', 'b']


def test_an_object_without_difficult_is_not_difficult(tmp_path):
    folder = write(tmp_path, a=scene((1, 1, 9, 9)).replace('<difficult>0</difficult>', ''))
    assert load(folder).get_data_info(0)['instances'][0]['ignore_flag'] == 0


def test_a_missing_image_is_named(tmp_path):
    folder = write(tmp_path, a=scene((1, 1, 9, 9)))
    (folder / 'JPEGImages/a.jpg').unlink()
    with pytest.raises(UserError, match='a.jpg.* is listed but missing'):
        load(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match='There is no list of images at .*nowhere'):
        load(tmp_path / 'nowhere')


def test_classes_are_read_from_the_annotations(tmp_path):
    folder = write(tmp_path, a=scene((1, 1, 9, 9), name='b'), b=scene((1, 1, 9, 9), name='a'), c=scene())
    assert classes_in(str(folder)) == ('a', 'b')


@pytest.mark.parametrize('annotations, message', [
    (dict(), 'There are no annotations'),
    (dict(a=scene()), 'holds an object'),
    (dict(a='<a'), 'no readable XML'),
    (dict(a='<?xml version="1.0" encoding="GBK"?><a/>'), 'encoding that cannot be read'),
    (dict(a='<?xml version="1.0" encoding="foo"?><a/>'), 'encoding that cannot be read'),
])
def test_a_folder_without_classes_is_refused(tmp_path, annotations, message):
    with pytest.raises(UserError, match=message):
        classes_in(str(write(tmp_path, **annotations)))


def test_images_of_another_suffix(tmp_path):
    folder = write(tmp_path, **{'a.b': scene((1, 1, 9, 9))})
    (folder / 'JPEGImages/a.b.jpg').rename(folder / 'JPEGImages/a.b.png')
    with pytest.raises(UserError, match='a.b.jpg.* is listed but missing'):
        load(folder)
    assert load(folder, img_suffix='.png').get_data_info(0)['img_path'].endswith('JPEGImages/a.b.png')


def test_a_data_set_that_is_told_its_suffix_goes_to_other_processes(tmp_path):
    folder = write(tmp_path, a=scene((1, 1, 9, 9)))
    (folder / 'JPEGImages/a.jpg').rename(folder / 'JPEGImages/a.png')
    data = with_suffix(mmdet.datasets.VOCDataset)(
        data_root=str(folder), ann_file='ImageSets/Main/trainval.txt', data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=('cell', )), img_suffix='.png', pipeline=[])
    again = pickle.loads(pickle.dumps(data))
    assert isinstance(again, mmdet.datasets.VOCDataset) and again.get_data_info(0) == data.get_data_info(0)
    assert again.get_data_info(0)['img_path'].endswith('a.png')


def test_an_image_of_another_suffix_is_pointed_out(tmp_path):
    folder = write(tmp_path, a=scene((1, 1, 9, 9)))
    (folder / 'JPEGImages/a.jpg').rename(folder / 'JPEGImages/a.png')
    with pytest.raises(UserError, match=r"a.jpg' is listed but missing, and '.*a.png' is there; set img_suffix='.png'"):
        load(folder)
