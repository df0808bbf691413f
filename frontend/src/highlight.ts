// Colours code; loaded when the first code block is seen, each language when it is first needed.
import hljs from 'highlight.js/lib/core';
import type { LanguageFn } from 'highlight.js';

const languages: Record<string, () => Promise<{ default: LanguageFn }>> = {
  bash: () => import('highlight.js/lib/languages/bash'),
  c: () => import('highlight.js/lib/languages/c'),
  cpp: () => import('highlight.js/lib/languages/cpp'),
  csharp: () => import('highlight.js/lib/languages/csharp'),
  css: () => import('highlight.js/lib/languages/css'),
  diff: () => import('highlight.js/lib/languages/diff'),
  dockerfile: () => import('highlight.js/lib/languages/dockerfile'),
  go: () => import('highlight.js/lib/languages/go'),
  ini: () => import('highlight.js/lib/languages/ini'),
  java: () => import('highlight.js/lib/languages/java'),
  javascript: () => import('highlight.js/lib/languages/javascript'),
  json: () => import('highlight.js/lib/languages/json'),
  kotlin: () => import('highlight.js/lib/languages/kotlin'),
  lua: () => import('highlight.js/lib/languages/lua'),
  makefile: () => import('highlight.js/lib/languages/makefile'),
  markdown: () => import('highlight.js/lib/languages/markdown'),
  php: () => import('highlight.js/lib/languages/php'),
  python: () => import('highlight.js/lib/languages/python'),
  r: () => import('highlight.js/lib/languages/r'),
  ruby: () => import('highlight.js/lib/languages/ruby'),
  rust: () => import('highlight.js/lib/languages/rust'),
  sql: () => import('highlight.js/lib/languages/sql'),
  swift: () => import('highlight.js/lib/languages/swift'),
  typescript: () => import('highlight.js/lib/languages/typescript'),
  xml: () => import('highlight.js/lib/languages/xml'),
  yaml: () => import('highlight.js/lib/languages/yaml'),
};
const aliases: Record<string, string> = {
  'c++': 'cpp', cs: 'csharp', docker: 'dockerfile', html: 'xml', js: 'javascript', jsx: 'javascript', kt: 'kotlin',
  md: 'markdown', mjs: 'javascript', patch: 'diff', py: 'python', rb: 'ruby', rs: 'rust', sh: 'bash', shell: 'bash',
  svg: 'xml', svelte: 'xml', toml: 'ini', ts: 'typescript', tsx: 'typescript', vue: 'xml', yml: 'yaml', zsh: 'bash',
};
/** Characters above which colouring would hold up the page. */
const LONGEST_CODE = 50_000;

// The highlighter escapes what it is given, so what it makes may be trusted.
const policy = window.trustedTypes?.createPolicy('kira', { createHTML: (html) => html });

/** `code` with marks for colours, or null when the language is unknown or the code too long. */
export async function highlight(code: string, language: string): Promise<TrustedHTML | string | null> {
  const asked = language.toLowerCase();
  const name = aliases[asked] ?? asked;
  const load = Object.hasOwn(languages, name) ? languages[name] : undefined;
  if (!load || code.length > LONGEST_CODE) return null;
  if (!hljs.getLanguage(name)) hljs.registerLanguage(name, (await load()).default);
  const { value } = hljs.highlight(code, { language: name, ignoreIllegals: true });
  return policy?.createHTML(value) ?? value;
}
