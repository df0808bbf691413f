"""Stream: what runs say, word by word; under uvicorn, because a handler could only answer as a whole."""

from kira.cloud.loading import loading

with loading():
    from kira.cloud.http import front_of
    from kira.web import health, streams

app = front_of(streams.router, health.router)
