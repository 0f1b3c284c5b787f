"""Settings that the tests of the image share."""

import sys
from pathlib import Path

# The chart as rendered objects, and the API server.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chart"))
