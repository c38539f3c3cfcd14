import sys

from galvatron.report.cli import main

sys.exit(main())
