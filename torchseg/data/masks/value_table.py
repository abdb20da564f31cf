"""Maps the values of a mask to classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from torchseg.spec import IGNORE_INDEX


class ValueTable:
    """Turns the values of masks into classes.

    Args:
        values: class, or the ignored value, by value.
        names: of the classes, for the error message about an unknown value.
        source: where the classes are defined, for the same message.
        ignored: a further value that is ignored.
    """

    def __init__(
        self, values: Mapping[int, int], *, names: Sequence[str], source: str, ignored: int | None = None
    ) -> None:
        self.values = dict(values) | ({} if ignored is None else {ignored: IGNORE_INDEX})
        self.names, self.source = tuple(names), source
        self._is_known = np.isin(np.arange(256), list(self.values))
        self._table = np.full(256, IGNORE_INDEX, np.uint8)
        self._table[list(self.values)] = list(self.values.values())
        self._count = len(self.names)
        self._is_identity = self.values == {value: value for value in (*range(self._count), IGNORE_INDEX)}

    def fits(self, stored: NDArray[np.uint8]) -> bool:
        """Whether every value of a mask `(H, W)` stands for a class or is ignored."""
        return stored.ndim == 2 and bool(self._is_known[np.unique(stored)].all())

    def decode(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Decodes values, uint8 `(H, W)`, into classes, uint8 `(H, W)`.

        Raises:
            ValueError: if the mask is coloured, or naming a value that stands for no class.
        """
        if stored.ndim != 2:
            raise ValueError(f"it is coloured, but {self.source} gives no colours; write lines like 'road 804080'")
        if self._is_identity:
            if (stored + np.uint8(1)).max() <= self._count:  # the ignored value wraps around to 0
                return stored
        elif self._is_known[stored].all():
            return self._table[stored]
        foreign = next(value for value in np.unique(stored).tolist() if not self._is_known[value])
        raise ValueError(f"it holds the value {foreign}, but {self._known()}; correct the mask or name more classes")

    def _known(self) -> str:
        ignored = [value for value, meaning in sorted(self.values.items()) if meaning == IGNORE_INDEX]
        rest = f" and {', '.join(map(str, ignored))} is ignored" if ignored else ""
        of = {value: meaning for value, meaning in self.values.items() if meaning != IGNORE_INDEX}
        if of == {value: value for value in range(self._count)}:
            return f"the classes are 0 to {self._count - 1} ({', '.join(self.names)}){rest}"
        return f"the classes are {', '.join(f'{value} {self.names[of[value]]}' for value in sorted(of))}{rest}"
