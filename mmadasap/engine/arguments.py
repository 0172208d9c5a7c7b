"""Arguments that several tools take."""
import argparse
import os.path as osp

from mmengine.config import DictAction


class Options(DictAction):
    """``key=value`` pairs that override a config."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Reads them; one that is no pair ends the tool with one sentence."""
        wrong = [value for value in values if '=' not in value]
        if wrong:
            parser.error(f'{option_string} {wrong[0]}: write it as key=value, e.g. train_cfg.max_epochs=5')
        super().__call__(parser, namespace, values, option_string)


def natural(text: str, least: int = 1) -> int:
    """A whole number from ``least``.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f'{text!r} must be a whole number from {least}')
    return int(text)


def count(text: str) -> int:
    """A whole number from 0.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    return natural(text, 0)


def file_path(text: str) -> str:
    """Where a file can be written.

    Raises:
        argparse.ArgumentTypeError: There is a folder.
    """
    return _unless(osp.isdir(text), text, f'{text!r} is a folder; name a file in it')


def folder_path(text: str) -> str:
    """Where files can be written.

    Raises:
        argparse.ArgumentTypeError: There is a file.
    """
    return _unless(osp.isfile(text), text, f'{text!r} is a file; name a folder')


def pickle_path(text: str) -> str:
    """The path of a .pkl file.

    Raises:
        argparse.ArgumentTypeError: It has another ending.
    """
    is_other = not text.endswith(('.pkl', '.pickle'))
    return _unless(is_other, text, f'{text!r} must end in .pkl, for predictions are written as a pickle')


def _unless(is_wrong: bool, text: str, why: str) -> str:
    if is_wrong:
        raise argparse.ArgumentTypeError(why)
    return text


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments every tool that reads a config takes, under mmdet's names."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and results (default: work_dirs/<name of the config>)')
    parser.add_argument('--cfg-options', nargs='+', action=Options, help='settings to override, as key=value pairs')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    # torch.distributed.launch passes the dashed form.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')
