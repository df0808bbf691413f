// Markdown of answers: split into blocks, made safe, and only the unfinished end rendered again while it grows.
import DOMPurify, { type Config } from 'dompurify';
import { Marked, type Token, type Tokens } from 'marked';

/** A part of an answer that can be shown on its own: either HTML, or code with its language. */
export type Block =
  | { key: number; kind: 'html'; html: TrustedHTML }
  | { key: number; kind: 'code'; code: string; language: string };

const CACHED_BLOCKS = 2_000;
/** A growing answer keeps this many blocks open: a block may still change until another has begun after it. */
const OPEN_BLOCKS = 2;
const SAFE_LINK = /^(?:https?:|mailto:)/i;

const escape = (text: string): string => text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);

// Raw HTML is shown as text. An image would tell its host who reads; it becomes a link.
const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
});

const SAFE: Config & { RETURN_TRUSTED_TYPE: true } = {
  ALLOWED_TAGS: [
    'a', 'blockquote', 'br', 'code', 'del', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol', 'p', 'pre',
    'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul',
  ],
  ALLOWED_ATTR: ['href', 'title', 'align', 'start', 'target', 'rel', 'data-host'],
  ALLOWED_URI_REGEXP: SAFE_LINK,
  RETURN_TRUSTED_TYPE: true,
};

/** Links open beside Kira, tell nobody where they come from, and show where they go. */
function finishLink(node: Element): void {
  if (node.tagName !== 'A') return;
  const href = node.getAttribute('href');
  if (!href) return;
  const target = URL.parse?.(href) ?? null;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer');
  node.setAttribute('title', href);
  const host = target?.host || target?.pathname;
  if (host && !node.textContent?.includes(host)) node.setAttribute('data-host', host);
}
DOMPurify.addHook('afterSanitizeAttributes', finishLink);

const cache = new Map<string, TrustedHTML>();

function safeHtml(token: Token): TrustedHTML {
  const known = cache.get(token.raw);
  if (known) return known;
  const html = DOMPurify.sanitize(marked.parser([token]), SAFE);
  if (cache.size >= CACHED_BLOCKS) cache.clear();
  cache.set(token.raw, html);
  return html;
}

function toBlock(token: Token, key: number): Block {
  if (token.type !== 'code') return { key, kind: 'html', html: safeHtml(token) };
  const { text, lang } = token as Tokens.Code;
  return { key, kind: 'code', code: text, language: (lang ?? '').trim().split(/\s/)[0] ?? '' };
}

const isShown = (token: Token): boolean => token.type !== 'space' && token.type !== 'def';

/** The blocks of a finished text. */
export function blocksOf(text: string): Block[] {
  return marked.lexer(text).filter(isShown).map(toBlock);
}

/** The blocks of a text that grows at its end; finished blocks stay the same objects. */
export class GrowingMarkdown {
  #text = '';
  #done: Block[] = [];
  /** Where in the text the unfinished blocks begin. */
  #from = 0;

  /** The blocks of `text`, which is the text of the last call with something added, or a new one. */
  update(text: string): Block[] {
    if (!text.startsWith(this.#text)) this.#reset();
    this.#text = text;
    const tokens = marked.lexer(text.slice(this.#from));
    const shown = tokens.filter(isShown);
    const finished = shown.slice(0, -OPEN_BLOCKS);
    const lastFinished = finished.at(-1);
    if (lastFinished) {
      for (const token of finished) this.#done.push(toBlock(token, this.#done.length));
      const upTo = tokens.slice(0, tokens.indexOf(lastFinished) + 1);
      this.#from += upTo.reduce((length, token) => length + token.raw.length, 0);
    }
    const open = shown.slice(finished.length).map((token, index) => toBlock(token, this.#done.length + index));
    return [...this.#done, ...open];
  }

  #reset(): void {
    this.#done = [];
    this.#from = 0;
  }
}
