"""A model is a stranger: nothing that it or anybody else writes is executed, fetched or led astray."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.browser.chat import Chat
from tests.browser.conftest import Device, Up, signed_in
from tests.browser.rig import Models

RUN = "window.pwned=1"
ATTACKS = {
    "image": f'hi <img src=x onerror="{RUN}"> and ![x](x "y\\" onerror={RUN}") ![p](data:image/png;base64,AAAA)',
    "script": f"<script>{RUN}</script> <scr<script>ipt>{RUN}</scr</script>ipt>",
    "svg": f"<svg onload={RUN}><script>{RUN}</script><animate onbegin={RUN} attributeName=x></svg>",
    "frame": f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe><object data="data:text/html,<script>{RUN}">',
    "mutation": f'<math><mtext></table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror={RUN}&gt;">',
    "style": f"<math></table><style><img src=x onerror={RUN}></style><style>@import 'http://127.0.0.1:9/x'</style>",
    "noscript": f'<noscript><p title="</noscript><img src=x onerror={RUN}>"></noscript><template><img onerror={RUN}>',
    "form": f'<form action=/api/auth/sign-out><input name=a autofocus onfocus="{RUN}"><button>x</button></form>',
    "base": '<base href="http://127.0.0.1:9/"><meta http-equiv=refresh content="0;url=http://127.0.0.1:9/">',
    "links": (
        f"[a](javascript:{RUN}) [b](JaVaScRiPt:{RUN}) [c](java&#115;cript:{RUN}) [d](&#x6A;avascript:{RUN}) "
        f"[e](\tjavascript:{RUN}) [f](vbscript:x) [g](data:text/html,<script>{RUN}</script>) "
        "[h](blob:x) [i](//evil.example)"
    ),
    "references": (
        f"[x][r] and <javascript:{RUN}> and [y]\n\n[r]: javascript:{RUN}\n[y]: data:text/html;base64,PHNjcmlwdD4="
    ),
    "attributes": (
        f'[z](https://example.org/"onmouseover="{RUN}) [t](https://example.org "a\\"onmouseover={RUN} ")'
        f' <https://example.org/"onclick={RUN}>'
    ),
    "code": (
        f'```html"onload={RUN}\n<img src=x onerror={RUN}></code></pre><script>{RUN}</script>\n```\n\n'
        f"`<img src=x onerror={RUN}>`"
    ),
    "table": f"| <img src=x onerror={RUN}> | b |\n|---|---|\n| [x](javascript:{RUN}) | <svg/onload={RUN}> |",
    "clobbering": "<a id=app name=trustedTypes></a><form id=document name=cookie><input name=attributes></form>",
    "nested": f"> - # <img src=x onerror={RUN}>\n>   1. <details open ontoggle={RUN}><summary>x</summary></details>",
    "entities": f"&lt;img src=x onerror={RUN}&gt; \\<img src=x onerror={RUN}\\> &#60;script&#62;{RUN}&#60;/script&#62;",
}
PROSE = "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul"
# Tags of the dashboard's own around a block of code.
OWN = "div figure figcaption button svg path"

FOUND = """(root) => ({
  tags: [...new Set([...root.querySelectorAll('*')].map((one) => one.localName))],
  handlers: [...root.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())
    .filter((name) => /^on|^style$|^srcdoc$|^name$/.test(name)),
  links: [...root.querySelectorAll('a[href]')].map((one) => [one.protocol, one.target, one.rel]),
})"""


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_answer_executes_nothing_while_it_grows_or_after(chat: Chat, models: Models, attack: str) -> None:
    models.behave(rate=200)
    answer = chat.say(f"Before.\n\n{ATTACKS[attack]}\n\nAfter.")
    expect(answer.locator(".prose")).to_contain_text("After.")
    is_harmless(answer)
    chat.page.reload()
    expect(chat.answers.last.locator(".prose")).to_contain_text("After.")
    is_harmless(chat.answers.last)
    hover_everything(chat.answers.last)
    assert ran(chat.page) is None
    expect(chat.composer).to_be_visible()


def test_links_say_where_they_go_and_tell_nobody_where_from(chat: Chat) -> None:
    answer = chat.say("[my bank](https://example.org/login) and [mail](mailto:a@example.org)")
    link = answer.get_by_role("link", name="my bank")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("title", "https://example.org/login")
    assert "example.org" in link.evaluate("(link) => getComputedStyle(link, '::after').content + link.dataset.host")


def test_the_user_s_own_words_are_text_everywhere(chat: Chat) -> None:
    words = f"<img src=x onerror={RUN}> <b>bold</b>"
    chat.ask(words)
    chat.finish()
    expect(chat.questions.last.locator("p").first).to_have_text(words)
    chat.options()
    chat.item("Rename").click()
    field = chat.page.get_by_role("textbox", name="Title", exact=True)
    field.fill(f"<svg onload={RUN}>")
    field.press("Enter")
    expect(chat.current_row).to_contain_text(f"<svg onload={RUN}>")
    expect(chat.page).to_have_title(f"<svg onload={RUN}> · Kira")
    chat.page.get_by_role("searchbox").fill("onerror")
    expect(chat.page.locator("aside .excerpt").first).to_contain_text("<img src=x")
    chat.page.keyboard.press("Control+k")
    expect(chat.page.get_by_role("option", name="<svg onload").first).to_be_visible()
    assert ran(chat.page) is None


def test_what_a_model_server_says_of_itself_is_text(device: Device, models: Models, own_home: Up) -> None:
    name = f"<img/src=x/onerror={RUN}>:latest"
    models.behave(models=[name])
    models.fail("error-line", text=f"<img src=x onerror={RUN}> out of memory")
    home = own_home()
    chat = Chat(signed_in(device(), home))
    chat.ask("will it fail")
    expect(chat.answers.last).to_contain_text("failed:")
    chat.page.get_by_role("combobox", name="Model").click()
    expect(chat.page.get_by_role("option").first).to_contain_text("<img/src")
    assert ran(chat.page) is None


def ran(page: Page) -> object:
    """Return what an attack left behind."""
    return page.evaluate("() => window.pwned ?? null")


def is_harmless(answer: Locator) -> None:
    """Check that an answer holds only what prose needs."""
    found = answer.locator(".prose").evaluate(FOUND)
    assert set(found["tags"]) <= {*PROSE.split(), *OWN.split()}
    assert found["handlers"] == []
    for protocol, target, rel in found["links"]:
        assert (protocol in ("http:", "https:", "mailto:"), target, rel) == (True, "_blank", "noopener noreferrer")


def hover_everything(answer: Locator) -> None:
    """Point at every link and every piece of code."""
    for one in answer.locator(".prose a, .prose code").all():
        one.hover(force=True)
