import { expect, test } from 'vitest';
import { GrowingMarkdown, blocksOf, type Block } from './markdown';

const htmlOf = (blocks: Block[]): string => blocks.map((block) => (block.kind === 'html' ? String(block.html) : '')).join('');
function page(markdown: string): HTMLElement {
  const box = document.createElement('div');
  box.innerHTML = htmlOf(blocksOf(markdown));
  return box;
}

const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '<script>alert(1)</script>',
  '<svg><script>alert(1)</script></svg>',
  '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
  '<math><mtext></table><style><img src=x onerror=alert(1)></style>',
  '<form action=/x><input name=a></form>',
  '[x](javascript:alert(1))',
  '[x](data:text/html,<script>alert(1)</script>)',
  '![x](https://example.org/who-reads.png)',
  '[x](java\nscript:alert(1))',
];

test.each(HOSTILE)('%s becomes text or a harmless link', (markdown) => {
  const box = page(markdown);
  expect(box.querySelector('img, script, svg, iframe, math, style, form, input, [onerror]')).toBeNull();
  for (const link of box.querySelectorAll('a[href]')) expect(link.getAttribute('href')).toMatch(/^(https?:|mailto:)/);
});

test('raw HTML is shown as it was written', () => {
  expect(page('a <b>bold</b> move').textContent).toContain('a <b>bold</b> move');
});

test('links open beside Kira and show where they go', () => {
  const link = page('[the paper](https://example.org/a)').querySelector('a');
  expect(link?.rel).toBe('noopener noreferrer');
  expect(link?.target).toBe('_blank');
  expect(link?.dataset.host).toBe('example.org');
  expect(page('https://example.org/a').querySelector('a')?.dataset.host).toBeUndefined();
});

test('a code block is code with its language', () => {
  expect(blocksOf('```python title="x"\na < b\n```')).toMatchObject([{ kind: 'code', code: 'a < b', language: 'python' }]);
});

const ANSWER = '# One\n\ntext **bold**\n\n- a\n- b\n\n  c\n\n```js\nlet a;\n\nlet b;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nlast\n';

test('an answer looks the same grown letter by letter as at once', () => {
  const growing = new GrowingMarkdown();
  let blocks: Block[] = [];
  for (let end = 1; end <= ANSWER.length; end++) blocks = growing.update(ANSWER.slice(0, end));
  expect(htmlOf(blocks)).toBe(htmlOf(blocksOf(ANSWER)));
  expect(blocks.filter((block) => block.kind === 'code')).toMatchObject([{ code: 'let a;\n\nlet b;', language: 'js' }]);
});

test('finished blocks are not made again while the answer grows', () => {
  const growing = new GrowingMarkdown();
  const before = growing.update('one\n\ntwo\n\nthree\n\nfour');
  const after = growing.update('one\n\ntwo\n\nthree\n\nfour and more');
  expect(after[0]).toBe(before[0]);
  expect(after[1]).toBe(before[1]);
  expect(after.at(-1)).not.toEqual(before.at(-1));
});

test('a text that is not the last one with more at its end begins anew', () => {
  const growing = new GrowingMarkdown();
  growing.update('one\n\ntwo\n\nthree\n\nfour');
  expect(htmlOf(growing.update('else'))).toBe(htmlOf(blocksOf('else')));
});
