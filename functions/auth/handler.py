"""Auth: accounts, sessions and settings; and whether Kira answers at all."""

from kira.cloud.loading import loading

with loading():
    from kira.cloud.http import serve
    from kira.web import auth, health

handler = serve(auth.router, health.router)
