#!/bin/sh
PYTHONPATH="/var/task:/opt/python:$PYTHONPATH" exec python -m uvicorn --port "$AWS_LWA_PORT" --no-access-log app:app
