"""Importing this makes numba ready, which takes half a second when the first function is compiled or loaded."""

import numba

numba.njit("int64()")(lambda: 0)
