"""Writing below one folder and nowhere else, whole files or none."""
import os
import os.path as osp
import uuid

from mmadasap.errors import UserError

PARTIAL = '.partial'
"""Folder, below the root, of files that are being written; nothing of it stays once all is done."""
OTHER_COPY = '{!r} belongs to a copy of other images or with other settings; give another --out, or remove it.'


class Folder:
    """Writes files below ``root``; each appears whole or not at all, also when the process is killed.

    Args:
        root: Created where it is missing.
    """

    def __init__(self, root: str):
        self.root = osp.realpath(root)
        self._ready: set[str] = set()
        self.make(PARTIAL)

    def make(self, folder: str) -> None:
        """Creates a folder below the root.

        Raises:
            UserError: It leads out of the root, through a link, or cannot be created.
        """
        if folder in self._ready:
            return
        whole = osp.join(self.root, folder)
        if osp.commonpath([osp.realpath(whole), self.root]) != self.root:
            raise UserError(f'{whole!r} leads out of {self.root!r} through a link; remove the link, nothing is written '
                            'there.')
        try:
            _make_folder(whole)
        except OSError as error:
            raise UserError(f'The folder {whole!r} cannot be made ({error.strerror}); remove what stands in its place, '
                            'or give another --out.') from None
        self._ready.add(folder)

    def write(self, path: str, data: bytes) -> None:
        """Writes a file.

        Raises:
            UserError: It cannot be written.
        """
        self.make(osp.dirname(path))
        try:
            try:
                self._write(path, data)
            except FileNotFoundError:
                # Another run that was done has just cleared the folder of what is being written.
                self._write(path, data)
        except OSError as error:
            raise UserError(f'{osp.join(self.root, path)!r} cannot be written ({error.strerror}); when that is mended, '
                            'run again: it goes on where it stopped.') from None

    def _write(self, path: str, data: bytes) -> None:
        partial = osp.join(self.root, PARTIAL, uuid.uuid4().hex)
        _make_folder(osp.dirname(partial))
        with open(partial, 'wb') as file:
            file.write(data)
        os.replace(partial, osp.join(self.root, path))

    def share(self, path: str, data: bytes) -> None:
        """Writes a file that several runs share; one that is there already must hold the same.

        Raises:
            UserError: It holds something else.
        """
        whole = osp.join(self.root, path)
        if not osp.exists(whole):
            self.write(path, data)
        with open(whole, 'rb') as file:
            if file.read() != data:
                raise UserError(OTHER_COPY.format(whole))

    def check_links(self) -> None:
        """Refuses a file system without symbolic links.

        Raises:
            UserError: It has none.
        """
        trial = osp.join(self.root, PARTIAL, uuid.uuid4().hex)
        try:
            os.symlink('.', trial)
            os.unlink(trial)
        except FileNotFoundError:
            pass  # another run that was done has just cleared that folder, and it has made its links
        except OSError as error:
            raise UserError(f'{self.root!r} lies on a file system that makes no symbolic links ({error.strerror}), '
                            'which copies share annotations by; give an --out on another.') from None

    def link(self, path: str, target: str) -> None:
        """Links ``path`` to ``target``, both below the root, by the way from one to the other."""
        self.make(osp.dirname(path))
        whole = osp.join(self.root, path)
        way = osp.relpath(osp.join(self.root, target), osp.dirname(whole))
        try:
            os.symlink(way, whole)
        except FileExistsError:
            if not osp.islink(whole) or os.readlink(whole) != way:
                raise UserError(f'{whole!r} should be a link to {target}; remove it.') from None


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError:
        # Another run may clear a folder as it is made: it was there, and then was no folder.
        os.makedirs(path, exist_ok=True)
