import sys

from galvatron.data.cli import main

sys.exit(main())
