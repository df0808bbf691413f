"""How a state of a page looks and reads: a picture and an axe run in light, in dark and at phone width."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SHOTS = Path(__file__).parent / "shots"
LOOKS = {
    "light": ("light", {"width": 1280, "height": 800}),
    "dark": ("dark", {"width": 1280, "height": 800}),
    "phone": ("light", {"width": 390, "height": 844}),
}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# What is read at length has the contrast of AAA; the rest of AA.
AT_LENGTH = {"runOnly": {"type": "rule", "values": ["color-contrast-enhanced"]}}
PROSE = ".prose, .question"
NAME_OF_CODE = "figcaption"
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def look(page: Page, name: str, *, looks: tuple[str, ...] = tuple(LOOKS)) -> None:
    """Take a picture of what the page shows in each look, and check it with axe.

    The pictures lie in SHOTS as `name-look.png`. Raises AssertionError with all that axe found.
    """
    SHOTS.mkdir(exist_ok=True)
    found = []
    for each in looks:
        scheme, size = LOOKS[each]
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict of the same two numbers
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of its literals
        page.screenshot(path=SHOTS / f"{name}-{each}.png")
        found += [f"{name}-{each}: {told}" for told in violations(page)]
        if page.locator(PROSE).count():
            found += [
                f"{name}-{each}: {told}"
                for told in violations(page, {"include": PROSE, "exclude": NAME_OF_CODE}, AT_LENGTH)
            ]
        if page.evaluate(OVERFLOW) > 0:
            found.append(f"{name}-{each}: the page is wider than the screen")
    page.set_viewport_size(LOOKS["light"][1])  # type: ignore[arg-type]  # as above
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    assert found == [], "\n".join(found)


def violations(page: Page, part: dict[str, Any] | None = None, rules: dict[str, Any] = RULES) -> list[str]:
    """Return what axe finds on the page or in a part of it, one line for each element."""
    results = Axe().run(page, context=part, options={**rules, "resultTypes": ["violations"]}).response
    return [
        f"{violation['id']} at {' '.join(map(str, node['target']))}: {node['failureSummary'].splitlines()[-1].strip()}"
        for violation in results["violations"]
        for node in violation["nodes"]
    ]
