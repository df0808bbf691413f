#!/bin/sh
# The Lambda Web Adapter starts this and sends it the requests; health needs no database, so waiting wakes nobody.
export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}/opt/python:${LAMBDA_RUNTIME_DIR:-/var/runtime}"
exec python -m uvicorn handler:app --host 127.0.0.1 --port "${PORT:-8080}" --lifespan off \
  --no-access-log --no-server-header --no-proxy-headers --log-level warning
