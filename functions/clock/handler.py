"""Clock: what is due, whenever the alarm says so."""

from kira.cloud.loading import loading

with loading():
    from kira.cloud.work import on_clock

handler = on_clock()
