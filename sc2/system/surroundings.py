"""The environment variables of a job: variables that could change its numbers or break it are set or removed.

The Snakefile hands `for_jobs` to the processes it starts, `sc2 STAGE` applies `settle` to itself, and git is run with
`for_git`. Variables that locate things (SC2_DATA, PATH, proxies, CUDA_VISIBLE_DEVICES, caches) are kept.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""Variables that set the number of threads of libraries, on which sums depend."""

_REMOVED = {
    # Select kernels of another kind of processor, with different sums.
    *("ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_DEBUG_CPU_TYPE", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "MKL_DYNAMIC", "MKL_DOMAIN_NUM_THREADS"),
    *("LANG", "LANGUAGE", "MATPLOTLIBRC"),
}
_REMOVED_PREFIXES = ("LC_", "OMP_", "GOMP_", "DNNL_", "ONEDNN_", "NPY_")
# Git hooks export variables that name the repository. GIT_CONFIG_*, which may hold safe.directory, are kept.
_GIT_KEPT = ("GIT_CONFIG", "GIT_EXEC_PATH", "GIT_SSL", "GIT_SSH", "GIT_CEILING", "GIT_DISCOVERY")


def for_jobs(environ: Mapping[str, str], package: Path) -> dict[str, str]:
    """Return the environment of the workflow's jobs.

    Args:
        environ: The environment that Snakemake was started with.
        package: Folder that contains the package: `python -m sc2` runs this one, whatever the job's folder and whatever
            is installed.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
    settle(kept, threads=1)
    path = [str(Path(sys.executable).parent), environ.get("PATH", os.defpath)]
    kept |= {"PATH": os.pathsep.join(path), "PYTHONPATH": str(package), "PYTHONSAFEPATH": "1"}
    # UTF-8 on every system; not all of them have a locale of that name.
    return kept | {"PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1"}


def settle(environ: MutableMapping[str, str], *, threads: int) -> None:
    """Set and remove, in place, variables that a job must not depend on; call before libraries that read them load."""
    for name in list(environ):
        git = name.startswith("GIT_") and not name.startswith(_GIT_KEPT)
        if git or name in _REMOVED or name.startswith(_REMOVED_PREFIXES):
            del environ[name]
    scratch = Path.cwd() / "scratch"
    environ.update(dict.fromkeys(THREADS, str(threads)))
    # No window, and neither the settings nor the font list of the user.
    environ.update(LC_ALL="C", MPLBACKEND="agg", MPLCONFIGDIR=str(scratch / "matplotlib"))
    if not _writable(environ.get("HOME")):
        (scratch / "home").mkdir(parents=True, exist_ok=True)
        environ["HOME"] = str(scratch / "home")
    for name in ("TMPDIR", "TEMP", "TMP"):
        if name in environ and not _writable(environ[name]):
            del environ[name]


def for_git(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which git finds the repository by its folder and prints messages in English."""
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name.startswith(_GIT_KEPT)}
    # Jobs run in parallel: reading the state must not lock the index.
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _writable(folder: str | None) -> bool:
    return bool(folder) and os.path.isdir(folder or "") and os.access(folder or "", os.W_OK)  # noqa: PTH112
