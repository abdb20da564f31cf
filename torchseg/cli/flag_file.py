"""Reads flags from YAML files and values, which may come from strangers: nothing in them may grow without bound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_LONGEST_PATH = 2**12  # characters


def config_action() -> type[Any]:
    """Makes an action that reads `--config` files as UTF-8; the parser would use the encoding of the locale."""
    from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]

    class ConfigFile(ActionConfigFile):
        def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
            text = _flags_in(Path(values)) if len(values) < _LONGEST_PATH and Path(values).exists() else ""
            super().__call__(parser, cfg, values if text.isascii() else _escaped(text), option_string)  # type: ignore[no-untyped-call]

    return ConfigFile


def _flags_in(path: Path) -> str:
    """The text of a file of flags; raises ValueError if it is not YAML, or has an alias or other unbounded content."""
    import yaml

    from torchseg.record import text_of_file
    from torchseg.record.yaml_text import check_yaml

    remedy = "give a YAML file of flags, as --print_config writes it"
    text = text_of_file(path, remedy=remedy)
    try:
        check_yaml(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not a file of flags: {' '.join(str(error).split())}; {remedy}") from error
    return text


def _escaped(text: str) -> str:
    """The same YAML in ASCII and on more than one line, so that the parser does not take it for the name of a file."""
    import yaml

    from torchseg.record.yaml_text import plain_yaml

    return f"# flags\n{yaml.safe_dump(plain_yaml(text))}"


@contextmanager
def bounded_values() -> Iterator[None]:
    """Lets the parser read no value that has an alias or is nested deeply: it may stand for gigabytes, or crash."""
    import yaml
    from jsonargparse import get_loader, set_loader

    from torchseg.record.yaml_text import check_yaml

    read = get_loader("yaml")

    def checked(text: str) -> Any:
        check_yaml(text)
        return read(text)

    set_loader("yaml", checked, exceptions=(yaml.YAMLError,))
    try:
        yield
    finally:
        set_loader("yaml", read, exceptions=(yaml.YAMLError,))
