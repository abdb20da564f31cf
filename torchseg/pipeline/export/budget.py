"""How much accuracy an exported file may lose."""

from __future__ import annotations

from dataclasses import dataclass

from tf_bridge.certify.parity import MAX_DROP, Parity

CERTIFIED_WITH = 64  # validation pictures at most
BUDGETED_WITH = 256  # the same, where the user asks for a budget
CLASS_SHARE = 4  # a class may lose so many times the mean's budget, unless the user says otherwise


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a dynamic or int8 file may lose, and on how many pictures that is measured.

    Attributes:
        drop: of mean IoU, as a share.
        class_drop: of the IoU of any one class, as a share; None sets no limit.
        pictures: of the validation part, at most.
        mixed: whether int8 files may keep layers in float to hold it.
    """

    drop: float = MAX_DROP
    class_drop: float | None = None
    pictures: int = CERTIFIED_WITH
    mixed: bool = False

    @classmethod
    def of_points(cls, drop: float | None, class_drop: float | None) -> Budget:
        """From points of IoU, as the commands take them; the default budget for None."""
        if drop is None:
            return cls()
        of_class = CLASS_SHARE * drop if class_drop is None else class_drop
        return cls(drop=drop / 100, class_drop=of_class / 100, pictures=BUDGETED_WITH, mixed=True)

    def share_used(self, parity: Parity) -> float:
        """How much of the budget a file takes; it holds up to 1."""
        of_mean = parity.miou_drop / self.drop
        return of_mean if self.class_drop is None else max(of_mean, parity.worst_class_drop / self.class_drop)
