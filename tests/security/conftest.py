"""The security tests attack the same program that the integration tests use."""

from __future__ import annotations

from tests.integration.conftest import api, bare_environment, service

__all__ = ["api", "bare_environment", "service"]
