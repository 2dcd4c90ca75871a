"""The environment variables of a job: whatever could change its numbers or break it is set or removed here.

The Snakefile hands `for_jobs` to the processes it starts, `sc2 STAGE` calls `settle` on itself, and git is run with
`for_git`. What says where things are (SC2_DATA, PATH, proxies, CUDA_VISIBLE_DEVICES, caches) stays.
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
"""How libraries are told their number of threads; sums depend on it."""

_REMOVED = {
    # Kernels of another kind of processor, with other sums.
    *("ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_DEBUG_CPU_TYPE", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "MKL_DYNAMIC", "MKL_DOMAIN_NUM_THREADS"),
    *("LANG", "LANGUAGE", "MATPLOTLIBRC"),
}
_REMOVED_PREFIXES = ("LC_", "OMP_", "GOMP_", "DNNL_", "ONEDNN_", "NPY_")
# Which repository git works on: a hook exports these. GIT_CONFIG_*, where safe.directory may stand, are left.
_GIT_KEPT = ("GIT_CONFIG", "GIT_EXEC_PATH", "GIT_SSL", "GIT_SSH", "GIT_CEILING", "GIT_DISCOVERY")


def for_jobs(environ: Mapping[str, str], package: Path) -> dict[str, str]:
    """Return the environment of the workflow's jobs.

    Args:
        environ: The environment that Snakemake was started with.
        package: Folder that contains the package: its `python -m sc2` runs, wherever the job works and whatever is
            installed.
    """
    found = {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
    settle(found, threads=1)
    path = [str(Path(sys.executable).parent), environ.get("PATH", os.defpath)]
    found |= {"PATH": os.pathsep.join(path), "PYTHONPATH": str(package), "PYTHONSAFEPATH": "1"}
    # UTF-8 on every system; the locale of that name is not known to all of them.
    return found | {"PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1"}


def settle(environ: MutableMapping[str, str], *, threads: int) -> None:
    """Set and remove in place what a job must not depend on; before the libraries that read it are imported."""
    for name in list(environ):
        git = name.startswith("GIT_") and not name.startswith(_GIT_KEPT)
        if git or name in _REMOVED or name.startswith(_REMOVED_PREFIXES):
            del environ[name]
    scratch = Path.cwd() / "scratch"
    environ.update(dict.fromkeys(THREADS, str(threads)))
    # No window, and neither the settings nor the font list of a user.
    environ.update(LC_ALL="C", MPLBACKEND="agg", MPLCONFIGDIR=str(scratch / "matplotlib"))
    if not _writable(environ.get("HOME")):
        (scratch / "home").mkdir(parents=True, exist_ok=True)
        environ["HOME"] = str(scratch / "home")
    for name in ("TMPDIR", "TEMP", "TMP"):
        if name in environ and not _writable(environ[name]):
            del environ[name]


def for_git(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which git finds the repository by its folder and says things in English."""
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name.startswith(_GIT_KEPT)}
    # Jobs run side by side: reading the state must not take the lock of the index.
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _writable(folder: str | None) -> bool:
    return bool(folder) and os.path.isdir(folder or "") and os.access(folder or "", os.W_OK)  # noqa: PTH112
