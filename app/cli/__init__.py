"""The command line. A start hears the wish to stop before anything else is imported."""

import sys

from app.stop_request import hear_stop_of

hear_stop_of(sys.argv)
