"""What every test shares."""

from __future__ import annotations

import os

from hypothesis import settings

from media_pipeline.settings import Settings

for name in Settings.model_fields:  # a developer's own keys and settings are not for tests
    os.environ.pop(name.upper(), None)

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
