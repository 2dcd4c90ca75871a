"""`python -m sc2`: the same as the `sc2` command; in a workflow on this machine, run by a fork that is ready for it."""

import os
import sys

if (address := os.environ.get("SC2_FORKS", "off")) != "off":
    from sc2.forks.client import run_in_fork

    run_in_fork(address)

from sc2.cli import main

sys.exit(main())
