"""Runs Python code in a process of its own with little memory and time."""

import subprocess
import sys

_LIMITED = """
import resource, sys
{imports}
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + {mib} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
{code}
"""


def run_bounded(imports: str, code: str, *args: str, mib: int, seconds: int = 20) -> str:
    """Return what the code prints; it may take so many MiB more than the imports, and so many seconds of CPU time.

    Args:
        imports: Statements that are run before the limits hold.
        code: Statements under the limits; `sys.argv[1:]` are `args`.
        args: Arguments.
        mib: Address space on top of what the imports take, MiB.
        seconds: CPU time with the imports, seconds.
    """
    script = _LIMITED.format(imports=imports, code=code, mib=mib, seconds=seconds)
    done = subprocess.run(
        [sys.executable, "-c", script, *args], capture_output=True, text=True, timeout=10 * seconds, check=False
    )
    assert done.returncode == 0, f"rc {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout
