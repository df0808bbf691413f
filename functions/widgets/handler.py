"""Widgets: what stands on a user's dashboard, and usage."""

from kira.cloud.loading import loading

with loading():
    from kira.cloud.http import serve
    from kira.web import widgets

handler = serve(widgets.router)
