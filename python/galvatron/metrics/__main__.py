import sys

from galvatron.metrics.cli import main

sys.exit(main())
