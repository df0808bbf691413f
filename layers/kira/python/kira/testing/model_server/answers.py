"""What the test server answers: words that follow from the question, so that answers can be told apart."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

THINKING_WORDS = ("Let", " me", " think", " about", " it", ".")
COUNTED_MIN = 100
_TOKEN = re.compile(r"\s?\S{1,8}|\s")


@dataclass(frozen=True, slots=True)
class Answer:
    """The tokens of an answer, what is thought before, tools that are asked for, and why it ends."""

    tokens: tuple[str, ...]
    thinking: tuple[str, ...]
    tool_calls: tuple[dict[str, Any], ...]
    reason: str


def last_question(body: dict[str, Any]) -> str:
    """Return the content of the last message of the user."""
    said = [str(each.get("content", "")) for each in body.get("messages", []) if each.get("role") == "user"]
    return said[-1] if said else str(body.get("prompt", ""))


def answer_to(body: dict[str, Any], tokens: int, *, thinks: bool) -> Answer:
    """Answer the last message.

    `say:...` is answered with exactly the rest, `tool:name {...}` with a call of a tool, anything else with the
    words of the question over and over, `tokens` of them; who asks to count gets at least COUNTED_MIN.
    `num_predict` cuts as it does in Ollama.
    """
    question = last_question(body)
    calls: tuple[dict[str, Any], ...] = ()
    if question.startswith("say:"):
        found = tuple(_TOKEN.findall(question[4:]))
    elif question.startswith("tool:"):
        found, calls = (), (_tool_call(question[5:]),)
    else:
        words = question.split() or ["ok"]
        tokens = max(tokens, COUNTED_MIN) if words[0] == "Count" else tokens
        found = tuple(word if at == 0 else f" {word}" for at, word in enumerate(islice(cycle(words), tokens)))
    most = int((body.get("options") or {}).get("num_predict") or -1)
    cut = most if 0 < most < len(found) else len(found)
    thinking = THINKING_WORDS if thinks else ()
    return Answer(found[:cut], thinking, calls, "length" if cut < len(found) else "stop")


def prompt_tokens(body: dict[str, Any]) -> int:
    """Estimate the tokens of a request: one for four characters, four more for each message."""
    return sum(len(str(each.get("content", ""))) // 4 + 4 for each in body.get("messages", []))


def _tool_call(text: str) -> dict[str, Any]:
    name, _, arguments = text.strip().partition(" ")
    return {"id": "call_1", "function": {"index": 0, "name": name, "arguments": json.loads(arguments or "{}")}}
