"""Reads flags from YAML files and values, which may come from strangers: nothing in them may grow without bound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torchseg.record.text import shortened, text_of_file

_LONGEST_PATH = 2**12  # characters
_REMEDY = "give a YAML file of flags, as --print_config writes it"


def config_action() -> type[Any]:
    """Makes an action that reads `--config` files as UTF-8; the parser would use the encoding of the locale."""
    from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]

    class ConfigFile(ActionConfigFile):
        def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
            if len(values) > _LONGEST_PATH:
                raise ValueError(f"--config {shortened(values)} is no path of a file; {_REMEDY}")
            text = _flags_in(Path(values))
            super().__call__(parser, cfg, values if text.isascii() else _escaped(text), option_string)  # type: ignore[no-untyped-call]

    return ConfigFile


def _flags_in(path: Path) -> str:
    """The text of a file of flags; raises ValueError if it is not YAML, or has an alias or other unbounded content."""
    import yaml

    from torchseg.record.yaml_text import plain_yaml

    text = text_of_file(path, remedy=_REMEDY)
    try:
        flags = plain_yaml(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not a file of flags: {' '.join(str(error).split())}; {_REMEDY}") from error
    if not isinstance(flags, dict | None):
        raise ValueError(f"{path} is not a file of flags: it holds {shortened(flags)}; {_REMEDY}")
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
