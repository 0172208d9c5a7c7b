"""300 seeded hostile inputs among clean ones: each is refused with the file and the reason named, or handled."""
import io
import json
import os
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mmadasap.corruption import corrupt
from mmadasap.corruption.build import build
from mmadasap.corruption.manifest import read_copy
from mmadasap.corruption.reading import read_image
from mmadasap.corruption.settings import Settings
from mmadasap.datasets.shapes import draw_scene
from mmadasap.errors import UserError
from tests.corruption.trees import tree

SETTINGS = Settings(('contrast', ), (1, ))
UNKNOWN = 'is no image of a known kind'
MISSING_BYTES = r'is broken \(.*(truncated|Truncated|file ended|broken)'


def pixels(rng, height=None, width=None):
    height, width = height or int(rng.integers(16, 60)), width or int(rng.integers(16, 60))
    return cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(image, kind, **kwargs):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **kwargs)
    return buffer.getvalue()


def one_pixel(rng):
    return encoded(pixels(rng, 1, 1), 'PNG')


def small(rng):
    sides = [int(rng.integers(1, 16)), int(rng.integers(1, 40))]
    rng.shuffle(sides)
    return encoded(pixels(rng, *sides), 'PNG')


def wide(rng):
    return encoded(pixels(rng, int(rng.integers(16, 20)), 8000), 'JPEG')


def too_wide(rng):
    return encoded(pixels(rng, 16, 33000), 'PNG')


def deep_gray(rng):
    values = rng.integers(0, 65536, (20, 30)).astype(np.uint16)
    return cv2.imencode('.png', values)[1].tobytes()


def deep_color(rng):
    return cv2.imencode('.png', rng.integers(0, 65536, (20, 30, 3)).astype(np.uint16))[1].tobytes()


def cmyk(rng):
    return encoded(Image.fromarray(pixels(rng)).convert('CMYK'), 'JPEG')


def gray(rng):
    return encoded(Image.fromarray(pixels(rng)).convert('L'), 'PNG')


def transparent(rng):
    return encoded(Image.fromarray(np.dstack([pixels(rng, 20, 30), pixels(rng, 20, 30)[..., 0]])), 'PNG')


def palette(rng):
    return encoded(Image.fromarray(pixels(rng)).quantize(16), 'PNG')


def two_level(rng):
    return encoded(Image.fromarray(pixels(rng)).convert('1'), 'PNG')


def turned(rng):
    """A camera's JPEG that is to be shown turned."""
    exif = Image.Exif()
    exif[274] = int(rng.integers(2, 9))
    return encoded(pixels(rng, 20, 40), 'JPEG', exif=exif.tobytes())


def animated(rng):
    frames = [Image.fromarray(pixels(rng, 20, 30)) for _ in range(int(rng.integers(2, 5)))]
    return encoded(frames[0], 'GIF', save_all=True, append_images=frames[1:])


def animated_webp(rng):
    frames = [Image.fromarray(pixels(rng, 20, 30)) for _ in range(3)]
    return encoded(frames[0], 'WEBP', save_all=True, append_images=frames[1:])


def cut_jpeg(rng):
    data = encoded(pixels(rng), 'JPEG', quality=95)
    return data[:int(len(data) * rng.uniform(0.7, 0.95))]


def cut_header(rng):
    return encoded(pixels(rng), str(rng.choice(['JPEG', 'PNG'])))[:int(rng.integers(3, 12))]


def cut_png(rng):
    data = encoded(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8), 'PNG')
    return data[:int(len(data) * rng.uniform(0.2, 0.9))]


def empty(rng):
    return b''


def garbage(rng):
    return rng.bytes(int(rng.integers(1, 3000)))


def text(rng):
    return b'<html>404 not found</html>' * int(rng.integers(1, 9))


def bomb(rng):
    """A PNG of a few bytes that says it has 4 thousand million pixels."""

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    side = int(rng.integers(30000, 32000))
    header = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b'')


def wrong_extension(rng):
    return encoded(pixels(rng), str(rng.choice(['PNG', 'BMP', 'WEBP', 'TIFF'])))


# Kind -> (maker, suffix, reason; None where it is handled).
FILES = dict(
    one_pixel=(one_pixel, '.png', 'is 1x1; sides of 16 to 32766 pixels are needed'),
    small=(small, '.png', r'is \d+x\d+; sides of 16'),
    wide=(wide, '.jpg', None), too_wide=(too_wide, '.png', 'is 33000x16; sides of 16 to 32766'),
    deep_gray=(deep_gray, '.png', None), deep_color=(deep_color, '.png', None), cmyk=(cmyk, '.jpg', None),
    gray=(gray, '.png', None), transparent=(transparent, '.png', None), palette=(palette, '.png', None),
    two_level=(two_level, '.png', None), turned=(turned, '.jpg', None),
    animated=(animated, '.gif', r'holds \d frames, and a single image is needed'),
    animated_webp=(animated_webp, '.jpg', 'holds 3 frames'),
    cut_jpeg=(cut_jpeg, '.jpg', MISSING_BYTES), cut_header=(cut_header, '.jpg', f'{UNKNOWN}|is broken'),
    cut_png=(cut_png, '.png', MISSING_BYTES), empty=(empty, '.jpg', 'is empty'),
    garbage=(garbage, '.jpg', f'{UNKNOWN}|is broken'), text=(text, '.png', UNKNOWN),
    bomb=(bomb, '.png', 'is too large to be checked: Image size .* exceeds limit'),
    wrong_extension=(wrong_extension, '.jpg', None))
NAMES = ['{} with spaces', 'naïve-{}',
         '图像 {}', '{}\nline', "{}'; rm -rf", '{}.tar', '%s{}', '🙂{}', '-{}', '{}\udcff']
LINKS = ('link_to_itself', 'link_to_its_folder', 'link_to_nothing', 'pipe')


def hostile_folder(root, rng, count):
    """Writes hostile files and returns path -> reason or None."""
    expected = {}
    kinds = [*FILES, *LINKS]
    for i in range(count):
        kind = kinds[i % len(kinds)]
        stem = os.path.join(f'class{rng.integers(4)}', NAMES[rng.integers(len(NAMES))].format(f'{i:03d}'))
        os.makedirs(root / os.path.dirname(stem), exist_ok=True)
        if kind in FILES:
            make, suffix, reason = FILES[kind]
            (root / (stem + suffix)).write_bytes(make(rng))
            expected[stem + suffix] = reason
        elif kind == 'link_to_itself':
            (root / f'{stem}.jpg').symlink_to(os.path.basename(stem) + '.jpg')
            expected[f'{stem}.jpg'] = 'cannot be read'
        elif kind == 'link_to_its_folder':
            (root / stem).symlink_to(root)
            expected[stem] = 'is a link to a folder that holds it'
        elif kind == 'link_to_nothing':
            (root / f'{stem}.png').symlink_to('/nowhere/at/all.png')
            expected[f'{stem}.png'] = r'cannot be read \(No such file'
        else:
            os.mkfifo(root / f'{stem}.jpg')
            expected[f'{stem}.jpg'] = 'is no regular file'
    return expected


def check(root, out, report, expected):
    """Every refused file is named with its reason and has no copy; every other one has the right one."""
    refused = dict(report.refused)
    suffixes = {path: os.path.splitext(path)[0] + '.png' for path in expected}
    for path, reason in expected.items():
        copy = out / 'contrast/1' / suffixes[path]
        if reason is None:
            assert path not in refused, (path, refused.get(path))
            seen = cv2.cvtColor(cv2.imdecode(np.fromfile(str(root / path), np.uint8), cv2.IMREAD_COLOR),
                                cv2.COLOR_BGR2RGB)
            stored, _ = read_image(str(copy))
            assert np.array_equal(stored, corrupt(seen, 'contrast', 1, path)), path
        else:
            assert path in refused, path
            assert re.search(reason, refused[path]), (path, refused[path])
            assert not copy.is_file(), path
    assert refused.keys() == {path for path, reason in expected.items() if reason is not None}


def snapshot(folder):
    """Content, and times of change, of all below a folder."""
    found = tree(folder)
    return {path: (kind, os.lstat(folder / path).st_mtime_ns if kind else 0) for path, kind in found.items()}


def test_240_hostile_files_in_a_folder(tmp_path):
    rng = np.random.default_rng(0)
    around, out = tmp_path / 'around', tmp_path / 'out'
    root = around / 'set'
    root.mkdir(parents=True)
    expected = hostile_folder(root, rng, 240)
    for i in range(40):
        path = f'class{i % 4}/clean{i:02d}.jpg'
        (root / path).write_bytes(encoded(draw_scene(i)[0][:40, :40], 'JPEG'))
        expected[path] = None
    before = snapshot(around)
    report = build(str(root), str(out), SETTINGS, workers=2, show_progress=False)
    check(root, out, report, expected)
    assert snapshot(around) == before and sorted(os.listdir(tmp_path)) == ['around', 'out']
    first = tree(out)
    again = build(str(root), str(out), SETTINGS, show_progress=False)
    assert again.refused == report.refused and tree(out) == first


def escaping(rng, outside):
    """Names that lead out of a data set, or are none."""
    deep = '../' * int(rng.integers(1, 6))
    return [f'{deep}{outside.name}/secret', f'{outside}/secret', f'a/../../{outside.name}/secret', '/etc/passwd',
            'a\0b', '..', f'./{deep}etc/passwd', 'x/../..']


def test_30_names_that_leave_a_voc_data_set(tmp_path):
    rng = np.random.default_rng(1)
    around, root, out = tmp_path / 'around', tmp_path / 'around/voc', tmp_path / 'out'
    outside = around / 'outside'
    for folder in ('Annotations', 'ImageSets/Main', 'JPEGImages', 'JPEGImages/a', 'Annotations/a'):
        (root / folder).mkdir(parents=True)
    outside.mkdir()
    data = encoded(pixels(rng), 'JPEG')
    for suffix in ('jpg', 'xml', ''):
        (outside / f'secret.{suffix}'.rstrip('.')).write_bytes(data)
    names = [name for _ in range(4) for name in escaping(rng, outside)][:28]
    lines, clean = [], []
    for i, name in enumerate(names):
        lines.append(name)
        if i % 4 == 0:
            clean.append(f'clean {i}')
            lines.append(clean[-1])
            (root / f'JPEGImages/{clean[-1]}.jpg').write_bytes(data)
            (root / f'Annotations/{clean[-1]}.xml').write_text('<a><filename>/etc/passwd</filename></a>')
    lines += ['no annotation', 'linked']
    (root / 'Annotations/linked.xml').symlink_to('linked.xml')
    (root / 'ImageSets/Main/test.txt').write_text('\n'.join(lines) + '\n')
    before = snapshot(around)
    report = build(str(root), str(out), SETTINGS, show_progress=False)
    refused = dict(report.refused)
    assert set(refused) == {*names, 'no annotation', 'linked'}
    for name in names:
        assert refused[name] == 'in ImageSets/Main/test.txt lies outside the data set, and nothing is read there'
    assert refused['linked'] == 'has no Annotations/linked.xml'
    copies = sorted(p.stem for p in (out / 'contrast/1/JPEGImages').iterdir())
    assert copies == sorted(clean) == sorted((out / 'ImageSets/Main/test.txt').read_text().splitlines())
    assert snapshot(around) == before and sorted(os.listdir(tmp_path)) == ['around', 'out']


def test_30_names_that_leave_a_coco_data_set(tmp_path):
    rng = np.random.default_rng(2)
    around, root, out = tmp_path / 'around', tmp_path / 'around/coco', tmp_path / 'out'
    outside = around / 'outside'
    for folder in (outside, root / 'annotations', root / 'val2017'):
        folder.mkdir(parents=True)
    data = encoded(pixels(rng), 'JPEG')
    (outside / 'secret.jpg').write_bytes(data)
    names = [f'{name}.jpg' for _ in range(4) for name in escaping(rng, outside)][:26]
    odd = [dict(id=900), dict(id=901, file_name=7), dict(file_name='x.jpg'), dict(id=[1], file_name='y.jpg')]
    clean = [f'clean {i}.jpg' for i in range(6)]
    for name in clean:
        (root / 'val2017' / name).write_bytes(data)
    entries = [dict(id=i, file_name=name) for i, name in enumerate([*names, *clean])]
    # The same target twice: the second is named, not overwritten.
    (root / 'val2017/clean 0.png').write_bytes(data)
    content = dict(images=[*entries, *odd, dict(id=99, file_name='clean 0.png')], annotations=[], categories=[])
    (root / 'annotations/instances_val2017.json').write_text(json.dumps(content))
    before = snapshot(around)
    report = build(str(root), str(out), SETTINGS, show_progress=False)
    reasons = [reason for _, reason in report.refused]
    leaving = [path for path, reason in report.refused if 'lies outside the data set' in reason]
    assert sorted(leaving) == sorted(name for name in names if name not in ('...jpg', 'x/../...jpg'))
    assert sum('has no file_name or no id' in reason for reason in reasons) == len(odd)
    assert ('val2017/clean 0.png', 'would overwrite the corrupted val2017/clean 0.jpg') in report.refused
    copies = sorted(p.name for p in (out / 'contrast/1/val2017').rglob('*.png'))
    assert copies == sorted(name.replace('.jpg', '.png') for name in clean)
    assert snapshot(around) == before and sorted(os.listdir(tmp_path)) == ['around', 'out']


@pytest.mark.parametrize('content, message', [
    ('', 'is no readable JSON'), ('[' * 100000, 'is no readable JSON'), ('[]', 'has no list of images'),
    ('{"images": [1]}', 'has no list of images'), ('{"images": []}', 'holds no image to corrupt'),
    ('{"images": [], "annotations": [{}]}', 'an annotation without image_id')])
def test_a_broken_annotation_file_is_refused(tmp_path, content, message):
    (tmp_path / 'coco/annotations').mkdir(parents=True)
    (tmp_path / 'coco/annotations/instances_val2017.json').write_text(content)
    with pytest.raises(UserError, match=message):
        build(str(tmp_path / 'coco'), str(tmp_path / 'out'), SETTINGS, show_progress=False)


def test_an_image_that_webp_cannot_hold_is_named(tmp_path):
    rng, root = np.random.default_rng(0), tmp_path / 'set'
    (root / 'a').mkdir(parents=True)
    for name, width in (('wide', 16400), ('widest_that_fits', 16383)):
        (root / f'a/{name}.png').write_bytes(encoded(pixels(rng, 16, width), 'PNG'))
    settings = Settings(('contrast', 'brightness'), (1, ), 'webp')
    report = build(str(root), str(tmp_path / 'out'), settings, show_progress=False)
    assert report.refused == [('a/wide.png', 'is 16400x16, which webp cannot hold; take --format png')]
    assert report.written == 2 and (tmp_path / 'out/brightness/1/a/widest_that_fits.webp').is_file()
    with pytest.raises(UserError, match="lacks 'a/wide.png', which is 16400x16, which webp cannot hold"):
        read_copy(str(tmp_path / 'out/contrast/1'))


def test_a_link_out_of_the_copy_is_not_followed(tmp_path):
    root, elsewhere, out = (tmp_path / name for name in ('set', 'elsewhere', 'out'))
    for folder in (root / 'a', elsewhere, out / 'contrast/1'):
        folder.mkdir(parents=True)
    (root / 'a/1.png').write_bytes(encoded(pixels(np.random.default_rng(0)), 'PNG'))
    (out / 'contrast/1/a').symlink_to(elsewhere)
    with pytest.raises(UserError, match='leads out of .* through a link'):
        build(str(root), str(out), SETTINGS, show_progress=False)
    assert not list(elsewhere.iterdir())


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="There is no data set .*nowhere'"):
        build(str(tmp_path / 'nowhere'), str(tmp_path / 'out'), SETTINGS)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='holds no image to corrupt'):
        build(str(tmp_path / 'empty'), str(tmp_path / 'out'), SETTINGS)
    assert not (tmp_path / 'out').exists()
