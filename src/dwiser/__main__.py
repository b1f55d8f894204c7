"""``python -m dwiser``."""

import sys

from dwiser.cli import main

sys.exit(main())
