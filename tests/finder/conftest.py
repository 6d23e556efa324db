"""The simulated skies of these tests."""

from sky_fixtures import config, field, sky, stamped

__all__ = ["config", "field", "sky", "stamped"]
