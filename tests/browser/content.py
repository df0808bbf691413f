"""Conversations and widgets as a user would have them after a while."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Page, Route
from tests.browser.api import Api

QUESTION = "How do I keep one heavy user from starving the others in a queue?"
ANSWER = """Give every user a line of their own, and let the lines take turns. A user who sends forty requests then
waits behind their own work, not in front of everybody else's.

The usual way is **deficit round robin**: each line earns a little credit per round and spends it on what it sends.

```python
def next_request(lines):
    for line in lines:
        line.credit += QUANTUM
        while line and line[0].cost <= line.credit:
            line.credit -= line[0].cost
            yield line.popleft()
```

| Scheme | Fair to light users | Cost per pick |
|---|---|---|
| First come, first served | no | constant |
| Deficit round robin | yes | constant |

1. Count the cost in *tokens*, not in requests.
2. Forget unused credit when a line runs empty.

There is more in [the paper](https://dl.acm.org/doi/10.1145/217391.217453).
"""
TITLES = ("Fair queues", "Trip to Porto", "Letter to the landlord", "A name for the boat", "Bread with little time")
_ASKED = {
    TITLES[0]: (QUESTION, ANSWER),
    TITLES[1]: ("Three days in Porto in March: what is worth the queue?", "Start early at **Livraria Lello**."),
    TITLES[2]: ("Make this letter friendlier.", "Dear Ms Okafor,\n\nthank you for the quick repair of the boiler."),
    TITLES[3]: ("A name for a slow, stubborn boat?", "*Patience*. Or *Eventually*."),
    TITLES[4]: ("Can bread be good in two hours?", "Yes: more yeast, warm water, and a very hot pot."),
}
WIDGETS: tuple[dict[str, Any], ...] = (
    {"kind": "clock", "title": "Clock"},
    {"kind": "usage", "title": "Usage", "width": 2, "height": 2},
    {"kind": "queue", "title": "Queue", "width": 1, "height": 2},
    {
        "kind": "note",
        "title": "Note",
        "height": 2,
        "settings": {"text": "Call the plumber\nMilk, bread"},
    },
    {"kind": "recent", "title": "Recent", "height": 2, "width": 2},
)
PATIENCE_S = 20


def fill(api: Api) -> None:
    """Hold the conversations, oldest first, and arrange the widgets."""
    for title in reversed(TITLES):
        hold(api, title, _ASKED[title][1])
    for widget in WIDGETS:
        api.call("POST", "/api/widgets", widget)


def asked_plainly(page: Page) -> None:
    """Show real questions where the test server was told what to answer."""
    questions = {f"say:{answer}".strip(): question for question, answer in _ASKED.values()}

    def put(route: Route) -> None:
        response = route.fetch()
        found = response.json()
        for message in found["items"]:
            message["content"] = questions.get(message["content"].strip(), message["content"])
        route.fulfill(response=response, json=found)

    page.route("**/messages?*", put)


def hold(api: Api, title: str, answer: str) -> None:
    """Hold one conversation."""
    conversation = api.call("POST", "/api/conversations", {"title": title})["id"]
    sent = api.call("POST", f"/api/conversations/{conversation}/messages", {"content": f"say:{answer}"})
    end = time.monotonic() + PATIENCE_S
    while api.call("GET", f"/api/runs/{sent['run']['id']}")["state"] != "done":
        assert time.monotonic() < end, "no answer came"
        time.sleep(0.02)
