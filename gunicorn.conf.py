"""`gunicorn -c gunicorn.conf.py`: the server of `cortex serve`, with options of gunicorn's own."""

import os
import sys

from cortex_server.config import Config, ConfigError
from cortex_server.gunicorn_settings import settings

try:
    globals().update(settings(Config.load(os.environ)))
except ConfigError as error:
    sys.exit(f"cortex: {error}")
