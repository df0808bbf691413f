"""Text from people: what may be stored, how titles are made, what a search reads."""

from __future__ import annotations

import re
import unicodedata

from kira.domain.errors import Invalid, TooLarge
from kira.domain.limits import MESSAGE_BYTES_MAX, TITLE_CHARACTERS_MAX

TITLE_WORDS_CHARACTERS = 60
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def storable(text: str, what: str) -> str:
    """Return `text` if both databases can store it; raises Invalid naming `what` for NUL and lone surrogates."""
    if "\x00" in text:
        raise Invalid(f"{what} contains a NUL character, which cannot be stored.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(f"{what} contains half of a surrogate pair, which is not text.") from None
    return text


def message(text: str) -> str:
    """Return the content of a message, checked; raises Invalid when empty, TooLarge above MESSAGE_BYTES_MAX."""
    if not storable(text, "The message").strip():
        raise Invalid("The message is empty.")
    if len(text.encode()) > MESSAGE_BYTES_MAX:
        raise TooLarge(f"The message is larger than {MESSAGE_BYTES_MAX // 1000} kB. Send it in parts.")
    return text


def one_line(text: str, what: str, characters_max: int) -> str:
    """Return `text` on one line without control characters; raises Invalid when empty or too long."""
    line = " ".join(_CONTROL.sub(" ", storable(text, what)).split())
    if not line:
        raise Invalid(f"{what} is empty.")
    if len(line) > characters_max:
        raise Invalid(f"{what} is longer than {characters_max} characters.")
    return line


def title(text: str) -> str:
    """Return a title given by a person, checked."""
    return one_line(text, "The title", TITLE_CHARACTERS_MAX)


def first_words(text: str) -> str:
    """Return the first words of a message as a title of at most TITLE_WORDS_CHARACTERS characters."""
    line = " ".join(_CONTROL.sub(" ", text[:1000]).split())
    if len(line) <= TITLE_WORDS_CHARACTERS:
        return line or "New conversation"
    cut = line[: TITLE_WORDS_CHARACTERS + 1].rpartition(" ")[0] or line[:TITLE_WORDS_CHARACTERS]
    return cut + "…"


def searchable(text: str) -> str:
    """Return `text` as runs of letters and digits, case folded, without marks: the same words on both databases."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    kept = (character if character.isalnum() else " " for character in folded if not unicodedata.combining(character))
    return " ".join("".join(kept).split())
