"""The token that a server asks for, in a file: on a command line everybody could read it."""

from pathlib import Path

from sc2.errors import ConfigError


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises:
        ConfigError: The file cannot be read, or holds no token.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the token in {path}: {error}") from error
    if not token or not token.isprintable() or " " in token:
        raise ConfigError(f"{path} must hold one token: printable ASCII without spaces")
    return token
