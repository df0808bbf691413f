"""What a function says of itself: lines of JSON and numbers, with ids, never with what users wrote."""

from __future__ import annotations

import logging
import sys
from typing import Any

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from kira.cloud.settings import CloudSettings

log = logging.getLogger("kira.function")


class Voice:
    """Writes logs and metrics of one function to standard output, from where AWS takes them."""

    def __init__(self, settings: CloudSettings) -> None:
        """Take over all logging of this process."""
        self._formatter = LambdaPowertoolsFormatter(utc=True, use_rfc3339=True, service=settings.function)
        self._metrics = Metrics(service=settings.function, namespace=settings.namespace)
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(self._formatter)
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(logging.WARNING)
        logging.getLogger("kira").setLevel(logging.INFO)

    def begins(self, context: Any) -> None:
        """Let every line from now on bear the id of this invocation."""
        self._formatter.clear_state()
        self._formatter.append_keys(request_id=getattr(context, "aws_request_id", None))

    def knows(self, **ids: str | None) -> None:
        """Let every line of this invocation bear `ids` too: of a user, of a run."""
        self._formatter.append_keys(**{name: value for name, value in ids.items() if value})

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Tell one answer: which route it was, not what was in its address."""
        milliseconds = round(seconds * 1000, 1)
        log.info("answered", extra={"method": method, "route": route, "status": status, "ms": milliseconds})
        self.counts(Answers=1, Failures=int(status >= 500))
        self._metrics.add_metric("Duration", MetricUnit.Milliseconds, milliseconds)
        self._metrics.flush_metrics()

    def counts(self, **numbers: int) -> None:
        """Add to the metrics of this invocation."""
        for name, number in numbers.items():
            self._metrics.add_metric(name, MetricUnit.Count, number)

    def ends(self) -> None:
        """Write the metrics that were added."""
        self._metrics.flush_metrics()
