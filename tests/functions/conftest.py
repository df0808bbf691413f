"""Functions as they start on AWS: with the services and the database of the tests of `cloud`."""

from __future__ import annotations

from tests.cloud.conftest import aws, environment

__all__ = ["aws", "environment"]
