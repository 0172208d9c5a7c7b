"""Folders compared to the byte."""
import hashlib
import os


def tree(root):
    """Path -> what is there: target of a link, hash of a file, None for a folder."""
    found = {}
    for folder, below, files in os.walk(root):
        for name in (*below, *files):
            path = os.path.join(folder, name)
            key = os.path.relpath(path, root)
            if os.path.islink(path):
                found[key] = 'link ' + os.readlink(path)
            elif os.path.isfile(path):
                with open(path, 'rb') as file:
                    found[key] = hashlib.sha256(file.read()).hexdigest()
            else:
                found[key] = None
    return found
