"""Which images a data set in COCO layout holds."""
import json
import os.path as osp
from typing import Optional

from mmadasap.errors import UserError

from .sources import Source, SourceImage, is_inside, names_in


def is_coco(root: str) -> bool:
    """Whether a folder holds annotations in COCO's way."""
    return any(name.endswith('.json') for name in names_in(osp.join(root, 'annotations')))


def read_coco(root: str, suffix: str, split: Optional[str], limit: Optional[int]) -> Source:
    """The images that an annotation file lists; for arguments and errors see :func:`.layouts.find_source`."""
    path, folder = _coco_paths(root, split)
    content = _read_json(osp.join(root, path))
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


def _coco_paths(root: str, split: Optional[str]) -> tuple[str, str]:
    """The annotation file and the folder of images, from the root."""
    files = [name for name in names_in(osp.join(root, 'annotations')) if name.endswith('.json')]
    wanted = f'instances_{split or "val2017"}.json'
    if wanted not in files and (split or len(files) > 1):
        raise UserError(f'{root!r} has no annotations/{wanted}, only {", ".join(files)}; name one with --split.')
    name = wanted if wanted in files else files[0]
    part = name[len('instances_'):-len('.json')] if name.startswith('instances_') else ''
    folder = next((f for f in (part, 'images') if f and osp.isdir(osp.join(root, f))), '')
    return f'annotations/{name}', folder


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
