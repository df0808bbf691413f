"""Chat: conversations, messages and runs."""

from kira.cloud.loading import loading

with loading():
    from kira.cloud.http import serve
    from kira.web import conversations, runs

handler = serve(conversations.router, runs.router)
