"""Agent: runs of hosted models, as many as SQS has hints for."""

from kira.cloud.loading import loading

with loading():
    from kira.cloud.work import consume

handler = consume()
