"""Settings that all chart tests share."""

import pytest

pytest.register_assert_rewrite("chart")
