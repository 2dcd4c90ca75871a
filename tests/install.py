"""`make env`: installs what a lock lists, checked by hash, with uv where it is on the path and with pip elsewhere.

uv is much faster and reads none of pip's configuration, so it is told what that says about where packages
come from. If it fails all the same, pip tries. It runs before anything is
installed: the standard library is all that it imports.
"""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

LISTS = {
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
}
"""Settings of pip that hold several values, the variable by which uv takes them, and what stands between them there."""
ALIKE = {
    "index-url": "UV_DEFAULT_INDEX",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
}
"""Those that uv takes as they are."""
SECTIONS = ("global", "install", ":env:")
"""Where pip looks for settings of an installation; the later ones count."""


def main(lock: str) -> int:
    """Install what a lock lists into the environment of this Python; returns the status of the installer."""
    uv = shutil.which("uv")
    wanted = ["--require-hashes", "-r", lock]
    by_pip = [sys.executable, "-m", "pip", "install", *wanted]
    if uv is None:
        return subprocess.call(by_pip)
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, stdout=subprocess.PIPE, text=True
    )
    found = settings(listed.stdout)
    if "no-index" in found and found["no-index"].lower() not in ("0", "false", "no", "off"):
        wanted.insert(0, "--no-index")
    # Compiled, as pip does: a process that may write no bytecode would compile every library again.
    command = [uv, "pip", "install", "--python", sys.executable, "--compile-bytecode", *wanted]
    # What uv's own variables say counts.
    if status := subprocess.call(command, env={**for_uv(found), **os.environ}):
        print(f"uv ended with status {status}: pip installs instead", file=sys.stderr, flush=True)
        return subprocess.call(by_pip)
    return 0


def settings(listed: str) -> dict[str, str]:
    """Return pip's settings of an installation by name.

    Args:
        listed: What `pip config list` prints, e.g. `global.index-url='https://example.org/simple'`.
    """
    rows = [line.partition("=") for line in listed.splitlines() if "=" in line]
    by_section: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for key, _, value in rows:
        section, _, name = key.rpartition(".")
        if section in by_section:
            by_section[section][name.removeprefix("default-")] = str(ast.literal_eval(value))
    return {name: value for section in SECTIONS for name, value in by_section[section].items() if value.strip()}


def for_uv(found: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that tell uv what pip's settings say.

    Args:
        found: pip's settings by name.
    """
    variables = {variable: found[name] for name, variable in ALIKE.items() if name in found}
    variables |= {to: between.join(found[name].split()) for name, (to, between) in LISTS.items() if name in found}
    # pip takes a file from any index that has it; the hashes say that it is the right one.
    return variables | {"UV_INDEX_STRATEGY": "unsafe-best-match"}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
