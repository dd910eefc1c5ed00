"""`python -m anrcli` is `anr`."""

from __future__ import annotations

import sys

from anrcli.app import main

sys.exit(main())
