"""The images of a data set, and what goes along with them."""
import os
import os.path as osp
from dataclasses import dataclass, field

SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff', '.ppm', '.pgm', '.gif')


@dataclass(frozen=True)
class SourceImage:
    """An image of a data set.

    Attributes:
        image_id: What its random draws depend on; the id that mmdet's data sets give it.
        path: Where it is, from the root of the data set.
        target: Where its corrupted versions go, from the root of a copy, without suffix.
    """
    image_id: str
    path: str
    target: str


@dataclass
class Source:
    """The images of a data set, and what its copies share.

    Attributes:
        layout: 'voc', 'coco' or 'folder'.
        images: In the order of the data set.
        refused: (file, reason) of what cannot be used.
        copied: Files that go along as they are: path from the root of the copy -> path of the file.
        written: Files that are written anew: path from the root of the copy -> content.
        folders: Folders that exist in every copy, empty or not.
        dataset: What a copy changes in the config of its data set, besides its root and suffix.
    """
    layout: str
    images: list[SourceImage] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    copied: dict[str, str] = field(default_factory=dict)
    written: dict[str, bytes] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    dataset: dict = field(default_factory=dict)

    def __post_init__(self):
        self._targets: dict[str, str] = {}

    def add(self, image: SourceImage) -> None:
        """Takes an image, unless it leaves the data set or would overwrite another."""
        for path in (image.path, image.target):
            if not is_inside(path):
                self.refused.append((image.path, 'lies outside the data set, and nothing is read or written there'))
                return
        if image.target in self._targets:
            self.refused.append((image.path, f'would overwrite the corrupted {self._targets[image.target]}'))
            return
        self._targets[image.target] = image.path
        self.images.append(image)


def is_inside(path: str) -> bool:
    """Whether a relative path stays below the folder it starts from."""
    return not osp.isabs(path) and '\0' not in path and osp.normpath(path).split(os.sep)[0] not in ('..', '.')


def names_in(folder: str) -> list[str]:
    """What a folder holds, sorted; nothing where it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
