"""`python -m sc2`: the same as the `sc2` command."""

import sys

from sc2.cli import main

sys.exit(main())
