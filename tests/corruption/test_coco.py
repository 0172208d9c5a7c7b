import json

import pytest

from mmadasap.corruption.layouts import find_source
from mmadasap.errors import UserError


def write(root, annotations, *images):
    """Annotation files that all list the image 1.jpg or d/1.jpg, and image files."""
    for path in (*(f'annotations/{name}' for name in annotations), *images):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    for name, image in annotations.items():
        (root / 'annotations' / name).write_text(json.dumps(dict(images=[dict(id=1, file_name=image)])))
    for path in images:
        (root / path).write_bytes(b'')


TWO = {'train.json': '1.jpg', 'val.json': '1.jpg'}


@pytest.mark.parametrize('annotations, images, split, expected', [
    (TWO, ['train/1.jpg', 'val/1.jpg'], 'val', 'val/1.jpg'),
    (TWO, ['images/train/1.jpg', 'images/val/1.jpg'], 'val', 'images/val/1.jpg'),
    (TWO, ['images/1.jpg'], 'val', 'images/1.jpg'), (TWO, ['1.jpg'], 'val', '1.jpg'),
    ({'instances_val.json': '1.jpg', 'val.json': '2.jpg'}, ['val/1.jpg'], 'val', 'val/1.jpg'),
    ({'instances_val2017.json': 'd/1.jpg', 'instances_x.json': '1.jpg'}, ['val2017/d/1.jpg'], None, 'val2017/d/1.jpg'),
    ({'instances_x.json': 'x/1.jpg'}, ['images/x/1.jpg'], None, 'images/x/1.jpg'),
    ({'x.json': 'x/1.jpg'}, ['x/1.jpg'], None, 'x/1.jpg'),
    # None of the images: the folder that COCO's own would have.
    ({'instances_x.json': '1.jpg'}, ['x/other', 'images/other'], None, 'x/1.jpg'),
    ({'x.json': '1.jpg'}, ['x/other', 'images/other'], None, 'images/1.jpg')])
def test_annotations_and_images_are_found_as_people_name_them(tmp_path, annotations, images, split, expected):
    write(tmp_path, annotations, *images)
    source = find_source(str(tmp_path), '.png', split)
    assert source.layout == 'coco' and [image.path for image in source.images] == [expected]
    below = source.dataset['data_prefix']['img']
    assert expected.startswith(below) and source.dataset['ann_file'] in source.written


@pytest.mark.parametrize('split, wanted', [(None, 'val2017'), ('test', 'test'), ('val.json', 'val.json')])
def test_annotations_that_are_not_there_are_named(tmp_path, split, wanted):
    write(tmp_path, TWO)
    message = f'has no annotations/instances_{wanted}.json or {wanted}.json, only train.json, val.json; name one with'
    with pytest.raises(UserError, match=message):
        find_source(str(tmp_path), '.png', split)
