import json

import pytest

from mmadasap.corruption import verify as verifying
from mmadasap.corruption.build import build
from mmadasap.corruption.settings import Settings
from mmadasap.corruption.verify import verify
from mmadasap.datasets.shapes import write_shapes
from mmadasap.errors import UserError


@pytest.fixture
def pair(tmp_path):
    root, out = tmp_path / 'voc', tmp_path / 'c'
    write_shapes(str(root), train=1, test=3)
    build(str(root), str(out), Settings(('fog', 'contrast')), show_progress=False)
    return root, out


def problems(root, out):
    found = verify(str(root), str(out), show_progress=False)
    return [(path.replace(str(out.parent) + '/', ''), reason) for path, reason in found.problems]


def test_a_sound_copy(pair):
    found = verify(str(pair[0]), str(pair[1]), show_progress=False)
    assert (found.files, found.problems, found.notes) == (6, [], [])


def test_what_is_wrong_is_named(pair):
    root, out = pair
    image = out / 'fog/3/JPEGImages/00001.png'
    data = bytearray(image.read_bytes())
    data[-20] ^= 1
    image.write_bytes(data)
    (out / 'fog/3/JPEGImages/00002.png').unlink()
    (out / 'fog/3/JPEGImages/extra.png').write_bytes(b'x')
    with open(root / 'JPEGImages/00003.jpg', 'ab') as file:
        file.write(b'more')
    (out / 'manifest/contrast/3/00000.jsonl').unlink()
    assert problems(root, out) == [
        ('c/contrast/3', 'knows 0 of 3 images; build again to complete it'),
        ('c/fog/3/JPEGImages/00001.png', 'is missing or damaged; remove it and build again'),
        ('c/fog/3/JPEGImages/00002.png', 'is missing or damaged; remove it and build again'),
        ('voc/JPEGImages/00003.jpg', 'is missing or was changed since JPEGImages/00003.png was made of it'),
        ('c/fog/3/JPEGImages/extra.png', 'is not in the manifest'),
    ]


def test_annotations_are_checked(pair):
    root, out = pair
    path = root / 'Annotations/00002.xml'
    path.write_text(path.read_text() + ' ')
    assert problems(root, out) == 2 * [
        ('voc/Annotations/00002.xml', 'was changed since it was copied; remove the copy of it and build again')]
    (out / 'Annotations/00002.xml').write_text('nonsense')
    assert ('c', 'holds other annotations than were written with the images; remove them and build again') in problems(
        root, out)


def test_what_is_wanted_must_be_there(pair):
    root, out = pair
    found = verify(str(root), str(out), show_progress=False, wanted=[('fog', 3), ('fog', 5), ('snow', 3)])
    assert found.problems == [(str(out / 'fog/5'), 'is not there; build it'),
                              (str(out / 'snow/3'), 'is not there; build it')]


def test_parameters_and_versions(pair, monkeypatch):
    root, out = pair
    for part in ('fog', 'manifest/fog'):
        (out / part / '3').rename(out / part / '4')
    assert problems(root, out) == [('fog/4', 'holds fog at severity 3')]
    header = out / 'manifest/fog/4/header.json'
    header.write_text(json.dumps(json.loads(header.read_text()) | dict(severity=4)))
    monkeypatch.setattr(verifying, 'library_versions', lambda: dict(numpy='9'))
    found = verify(str(root), str(out), show_progress=False)
    assert not found.problems and len(found.notes) == 2 and 'here are numpy 9' in found.notes[0]


def test_a_folder_without_copies_is_refused(tmp_path):
    with pytest.raises(UserError, match='holds no corrupted copy'):
        verify(str(tmp_path), str(tmp_path), show_progress=False)
    with pytest.raises(UserError, match='nowhere.* holds no corrupted copy'):
        verify(str(tmp_path), str(tmp_path / 'nowhere'), show_progress=False)
