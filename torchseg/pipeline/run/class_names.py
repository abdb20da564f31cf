"""Class names that a user gives to the outputs of a network made elsewhere."""

from __future__ import annotations

from torchseg.spec import ImageSpec


def checked_class_names(names: tuple[str, ...], spec: ImageSpec) -> tuple[str, ...]:
    """The class names to use; those of the data if none are given.

    Args:
        names: in the order of the network's outputs.
        spec: of the data.

    Raises:
        ValueError: if there are more or fewer than the data has, or they are the data's in another order: the scores
            would be wrong.
    """
    names = names or spec.classes
    if len(names) != spec.num_classes:
        raise ValueError(
            f"--classes names {len(names)} classes and the data has {spec.num_classes} ({', '.join(spec.classes)}); "
            "name as many, in the order of the model's outputs"
        )
    if names != spec.classes and set(names) == set(spec.classes):
        raise ValueError(
            f"the model's classes are {', '.join(names)} and the data's {', '.join(spec.classes)}: the same in another "
            "order; reorder the channels of the model's output"
        )
    return names
