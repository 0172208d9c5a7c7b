"""Which images a data set in COCO layout holds."""
import json
import os.path as osp
from typing import Optional

from mmadasap.errors import UserError

from .sources import Source, SourceImage, is_inside, names_in

PREFIX = 'instances_'
"""Of annotation files, as COCO's own are called; others leave it out."""


def is_coco(root: str) -> bool:
    """Whether a folder holds annotations in COCO's way."""
    return any(name.endswith('.json') for name in names_in(osp.join(root, 'annotations')))


def read_coco(root: str, suffix: str, split: Optional[str], limit: Optional[int]) -> Source:
    """The images that an annotation file lists; for arguments and errors see :func:`.layouts.find_source`."""
    name = _annotation_file(root, split)
    path = f'annotations/{name}'
    content = _read_json(osp.join(root, path))
    folder = _image_folder(root, name, content)
    source, kept = Source('coco'), []
    for entry in content['images'][:limit]:
        name, image_id = entry.get('file_name'), entry.get('id')
        if not isinstance(name, str) or not isinstance(image_id, (int, str)):
            source.refused.append((f'{path}, images: {entry}'[:200], 'has no file_name or no id'))
        elif not is_inside(name):
            source.refused.append((name, f'in {path} lies outside the data set, and nothing is read or written there'))
        else:
            before = len(source.images)
            source.add(SourceImage(str(image_id), osp.join(folder, name), osp.join(folder, osp.splitext(name)[0])))
            if len(source.images) > before:
                kept.append(dict(entry, file_name=osp.splitext(name)[0] + suffix))
    ids = {str(entry['id']) for entry in kept}
    annotations = [a for a in content.get('annotations', []) if str(a['image_id']) in ids]
    shared = dict(content, images=kept, annotations=annotations)
    source.written = {path: json.dumps(shared).encode()}
    source.dataset = dict(ann_file=path, data_prefix=dict(img=f'{folder}/' if folder else ''))
    return source


def _annotation_file(root: str, split: Optional[str]) -> str:
    files = [name for name in names_in(osp.join(root, 'annotations')) if name.endswith('.json')]
    wanted = [f'{prefix}{split or "val2017"}.json' for prefix in (PREFIX, '')]
    found = [name for name in wanted if name in files]
    if not found and (split or len(files) > 1):
        raise UserError(f'{root!r} has no annotations/{wanted[0]} or {wanted[1]}, only {", ".join(files)}; name one '
                        'with --split.')
    return (found or files)[0]


def _image_folder(root: str, name: str, content: dict) -> str:
    """Where the images of an annotation file are, from the root: where the first of them is, else of what there is."""
    part = name.removeprefix(PREFIX).removesuffix('.json')
    named = [part, 'images'] if name.startswith(PREFIX) else ['images']
    images = [entry.get('file_name') for entry in content['images']]
    first = next((image for image in images if isinstance(image, str) and is_inside(image)), '')
    usual = next((folder for folder in named if osp.isdir(osp.join(root, folder))), '')
    tried = [usual, *named, part, f'images/{part}', '']
    return next((folder for folder in tried if osp.isfile(osp.join(root, folder, first))), usual)


def _read_json(path: str) -> dict:
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{path!r} is no readable JSON ({error}); repair it.') from None
    images = content.get('images') if isinstance(content, dict) else None
    if not isinstance(images, list) or not all(isinstance(entry, dict) for entry in images):
        raise UserError(f'{path!r} has no list of images; give annotations in the format of COCO.')
    annotations = content.get('annotations', [])
    if not isinstance(annotations, list) or not all(isinstance(a, dict) and 'image_id' in a for a in annotations):
        raise UserError(f'{path!r} holds an annotation without image_id, or annotations that are no list; give '
                        'annotations in the format of COCO.')
    return content
