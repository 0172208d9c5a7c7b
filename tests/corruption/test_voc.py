import pytest

from mmadasap.corruption.layouts import find_source


@pytest.mark.parametrize('files, expected', [
    (['1.JPG'], '1.JPG'), (['1.Png'], '1.Png'), (['1.JPG', '1.jpg'], '1.jpg'), (['1.PNG', '1.JPG'], '1.JPG'),
    (['11.JPG', '1.txt'], '1.jpg'), (['1.png', '1.tar.jpg'], '1.png')])
def test_images_are_found_whatever_the_case_of_their_suffix(tmp_path, files, expected):
    for folder in ('Annotations', 'ImageSets/Main', 'JPEGImages'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'ImageSets/Main/test.txt').write_text('1\n')
    (tmp_path / 'Annotations/1.xml').write_text('<a/>')
    for name in files:
        (tmp_path / 'JPEGImages' / name).write_bytes(b'')
    assert [image.path for image in find_source(str(tmp_path), '.png').images] == [f'JPEGImages/{expected}']


def test_images_in_folders_of_their_own(tmp_path):
    for folder in ('Annotations/a', 'ImageSets/Main', 'JPEGImages/a'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'ImageSets/Main/test.txt').write_text('a/1\n')
    (tmp_path / 'Annotations/a/1.xml').write_text('<a/>')
    (tmp_path / 'JPEGImages/a/1.PNG').write_bytes(b'')
    image, = find_source(str(tmp_path), '.png').images
    assert (image.path, image.target) == ('JPEGImages/a/1.PNG', 'JPEGImages/a/1')
