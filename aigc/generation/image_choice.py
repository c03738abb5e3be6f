"""Which images a generator makes. A field's docstring is its help text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from aigc.config.problems import choices
from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.printing import plural

_MOST = 1_000_000
"""Images at a time: a larger number is a typing error."""
_LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class ImageChoice:
    """Seeds, labels, and how images are arranged."""

    num_images: Annotated[int, Bound(1, 1_000_000)] | None = None
    """Images; null makes 16, or more where `seed` or `labels` name more."""
    seed: str = "0"
    """Seed of the first image, the others have the seeds after it; or the seeds themselves: 0-15 or 0,3,7."""
    labels: str | None = None
    """Classes of the images in turn, by name or number: A,B or 0,1; null takes an image's seed modulo their number.
    An interpolation has one class: null takes the first image's."""
    truncation: Annotated[float, Bound(0, 1)] = 1.0
    """Below 1 more typical and less diverse: styles move to their average, or latents beyond twice this are redrawn."""
    interpolation: Annotated[int, Bound(2)] | None = None
    """Images from each image to the next, both included: a row of a strip, or frames of an animation."""
    mixing: str | None = None
    """ROWSxCOLUMNS: a table in which rows give the coarse styles and columns the fine ones (generators with styles)."""
    crossover: Annotated[int, Bound(1)] | None = None
    """Layers whose styles are those of the row, in a table of mixed styles; null takes half."""

    def seeds(self) -> list[int]:
        """Return the seed of each image; for a table of mixed styles those of the rows, then those of the columns.

        Raises:
            InputError: `seed` cannot be read, or names more or fewer images than are asked for.
        """
        named = _whole_numbers(self.seed)
        rows, columns = self.table() or (0, 0)
        wanted, key = (rows + columns, f"mixing={self.mixing}") if rows else (self.num_images, "num_images")
        if rows and self.num_images is not None:
            raise InputError(f"num_images={self.num_images}: {key} gives the number already; leave it out")
        if self.seed.strip().isdigit():  # one number, not a range
            wanted = wanted or max(16, len((self.labels or "").split(",")))
            if named[0] + wanted - 1 > _LARGEST_SEED:
                raise InputError(f"seed={self.seed}: the largest seed is {_LARGEST_SEED}")
            return list(range(named[0], named[0] + wanted))
        if wanted not in (None, len(named)):
            raise InputError(f"seed={self.seed} names {plural(len(named), 'image')}, and {key} asks for {wanted}")
        return named

    def table(self) -> tuple[int, int] | None:
        """Return rows and columns of the table of mixed styles, if one is asked for.

        Raises:
            InputError: `mixing` cannot be read.
        """
        if self.mixing is None:
            return None
        found = re.fullmatch(r"([1-9]\d{0,2})x([1-9]\d{0,2})", self.mixing.strip(), re.ASCII)
        if found is None:
            raise InputError(f"mixing={self.mixing}: expected ROWSxCOLUMNS, such as 3x5")
        return int(found[1]), int(found[2])

    def labels_of(self, class_names: Sequence[str]) -> list[int] | None:
        """Return the label of each image; None for a generator without classes.

        Args:
            class_names: Those of the generator; none when it has no classes.

        Raises:
            InputError: An unknown class, any class for a generator without classes, or several classes for an
                interpolation.
        """
        if not class_names:
            if self.labels is not None:
                raise InputError(
                    f"labels={self.labels}: this model was trained without labels; leave it out, or train one with "
                    "data.labels=true, which takes class folders as classes"
                )
            return None
        if self.labels is None:
            seeds = self.seeds()
            return [(seeds[0] if self.interpolation else seed) % len(class_names) for seed in seeds]
        chosen = self._chosen(class_names)
        if self.interpolation and len(set(chosen)) > 1:
            raise InputError(f"labels={self.labels}: an interpolation has one class; name one")
        return [chosen[index % len(chosen)] for index in range(len(self.seeds()))]

    def _chosen(self, class_names: Sequence[str]) -> list[int]:
        names = list(class_names)
        numbered = all(name.isdigit() for name in names)  # then indices would be mistaken for names
        found = []
        for typed in map(str.strip, str(self.labels).split(",")):
            if typed in names:  # a name wins: classes of digits may be in another order
                found.append(names.index(typed))
            elif not numbered and typed.isascii() and typed.isdigit() and int(typed) < len(names):
                found.append(int(typed))
            else:
                or_numbers = "" if numbered else f" Or numbers from 0 to {len(names) - 1}."
                raise InputError(f"labels={self.labels}: no class {typed!r}. {choices(typed, names)}{or_numbers}")
        return found


def _whole_numbers(text: str) -> list[int]:
    """`5`, `0-15` or `0,3,7`, or several of these with commas between them."""
    found: list[int] = []
    for part in text.split(","):
        range_of = re.fullmatch(r"\s*(\d{1,19})\s*(?:-\s*(\d{1,19})\s*)?", part, re.ASCII)
        if range_of is None:
            raise InputError(f"seed={text}: expected a whole number from 0, or several: 0-15 or 0,3,7")
        first, last = int(range_of[1]), int(range_of[2] or range_of[1])
        if last > _LARGEST_SEED or last < first or len(found) + last - first >= _MOST:
            raise InputError(
                f"seed={text}: {part.strip()} is not a range of at most {_MOST} seeds up to {_LARGEST_SEED}"
            )
        found += range(first, last + 1)
    return found
