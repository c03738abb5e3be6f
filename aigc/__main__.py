"""`python -m aigc`."""

import sys

from aigc.cli.main import main

sys.exit(main())
