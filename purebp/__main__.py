"""`python -m purebp`."""

import sys

from purebp.cli import main

sys.exit(main())
