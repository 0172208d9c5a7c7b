"""What decides about the bytes of a corrupted copy."""
from dataclasses import dataclass
from typing import Optional

from mmadasap.errors import UserError

from .names import check_corrupting
from .reading import WRITERS


@dataclass(frozen=True)
class Settings:
    """What decides about the bytes of a copy.

    Attributes:
        corruptions: Names.
        severities: 1 to 5 each.
        format: 'png', 'jpg' or 'webp'.
        quality: 1 to 100, of jpg and webp; webp at 100 is lossless.
        seed: Another seed gives another draw.
        split: Which list or annotation file; see :func:`find_source`.
        limit: Only so many images from the start.
    """
    corruptions: tuple[str, ...]
    severities: tuple[int, ...] = (3, )
    format: str = 'png'
    quality: int = 95
    seed: int = 0
    split: Optional[str] = None
    limit: Optional[int] = None

    def __post_init__(self):
        for severity in self.severities:
            check_corrupting(self.corruptions[0], severity)
        if self.format not in WRITERS:
            raise UserError(f'format={self.format!r} must be one of {", ".join(WRITERS)}.')
        if not 1 <= self.quality <= 100:
            raise UserError(f'quality={self.quality} must be from 1 to 100.')
        if self.limit is not None and self.limit < 1:
            raise UserError(f'limit={self.limit} must be at least 1.')

    @property
    def cells(self) -> list[tuple[str, int]]:
        """All (corruption, severity)."""
        return [(name, severity) for name in self.corruptions for severity in self.severities]
