// Fails a build whose first load or lazy parts grew beyond their budget, and prints what they weigh.
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Plugin, ResolvedConfig } from 'vite';

export interface Budget {
  /** Bytes, gzip: index, scripts, styles and icon of the sign-in page or of the signed-in chat page. */
  firstLoad: number;
  /** Bytes, gzip, of any chunk that is loaded later. */
  lazyChunk: number;
  /** Requests of the signed-in chat page, the API's among them. */
  requests: number;
}

interface Chunk {
  file: string;
  isEntry?: boolean;
  imports?: string[];
  dynamicImports?: string[];
  css?: string[];
}
type Manifest = Record<string, Chunk>;

interface FirstPage {
  name: string;
  sources: string[];
  /** Manifest and icon, and what the page asks the API. */
  requestsBesideFiles: number;
}
const FIRST_PAGES: FirstPage[] = [
  // Refresh, options. The chat page is on its way before it is known that nobody is signed in.
  { name: 'sign-in', sources: ['src/pages/Chat.svelte', 'src/pages/SignIn.svelte'], requestsBesideFiles: 4 },
  // Refresh, conversations, models, settings, messages.
  { name: 'chat', sources: ['src/pages/Chat.svelte'], requestsBesideFiles: 7 },
];

/** The files a chunk needs before it can run: itself, its static imports and their styles. */
function closure(manifest: Manifest, key: string, files = new Set<string>()): Set<string> {
  const chunk = manifest[key];
  if (!chunk || files.has(chunk.file)) return files;
  files.add(chunk.file);
  for (const sheet of chunk.css ?? []) files.add(sheet);
  for (const next of chunk.imports ?? []) closure(manifest, next, files);
  return files;
}

/** What the browser loads for a first page. */
function firstLoad(manifest: Manifest, sources: string[]): Set<string> {
  const entry = Object.keys(manifest).find((key) => manifest[key]?.isEntry);
  const files = new Set(['index.html']);
  for (const key of [entry ?? 'an entry', ...sources]) {
    if (!manifest[key]) throw new Error(`The build has no ${key}.`);
    closure(manifest, key, files);
  }
  return files;
}

/** Every breach of the budget, as a sentence each; prints the sizes as it goes. */
function breaches(out: string, manifest: Manifest, limit: Budget): string[] {
  const size = (file: string) => gzipSync(fs.readFileSync(path.join(out, file)), { level: 9 }).length;
  const kb = (bytes: number) => `${(bytes / 1024).toFixed(1)} KB`;
  const found: string[] = [];
  const first = new Set<string>();
  for (const { name, sources, requestsBesideFiles } of FIRST_PAGES) {
    const files = firstLoad(manifest, sources);
    const bytes = [...files].reduce((sum, file) => sum + size(file), 0);
    const requests = files.size + requestsBesideFiles;
    console.log(`first load, ${name}: ${kb(bytes)} gzip, ${requests} requests`);
    if (bytes > limit.firstLoad) found.push(`${name}: ${kb(bytes)} of ${kb(limit.firstLoad)} at first load`);
    if (requests > limit.requests) found.push(`${name}: ${requests} requests of ${limit.requests}`);
    for (const file of files) first.add(file);
  }
  for (const { file } of Object.values(manifest)) {
    if (first.has(file) || !file.endsWith('.js')) continue;
    if (size(file) > limit.lazyChunk) found.push(`${file}: ${kb(size(file))} of ${kb(limit.lazyChunk)} for a lazy part`);
  }
  return found;
}

/** Checks the written bundle against `limit`. */
export function budget(limit: Budget): Plugin {
  let config: ResolvedConfig;
  return {
    name: 'kira-budget',
    apply: 'build',
    configResolved(resolved) {
      config = resolved;
    },
    closeBundle() {
      const out = path.resolve(config.root, config.build.outDir);
      const notes = path.join(out, '.vite/manifest.json');
      if (!fs.existsSync(notes)) return;
      const found = breaches(out, JSON.parse(fs.readFileSync(notes, 'utf8')) as Manifest, limit);
      if (found.length) throw new Error(`Over budget:\n  ${found.join('\n  ')}`);
    },
  };
}
