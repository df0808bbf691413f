// What the dashboard needs after bundling: icons, web manifest, service worker, integrity, compressed copies.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { Resvg } from '@resvg/resvg-js';
import type { Plugin, ResolvedConfig } from 'vite';

export interface KiraBuildOptions {
  /** The one drawing every icon is made from, relative to the root. */
  icon: string;
  /** The service worker's source; __VERSION__ and __PRECACHE__ are filled in. */
  worker: string;
  manifest: Record<string, string>;
}

const ICON_SIZES = [180, 192, 512];
const SMALLEST_WORTH_COMPRESSING = 512;

function icon(svg: string, size: number): Buffer {
  const options = { fitTo: { mode: 'width' as const, value: size }, font: { loadSystemFonts: false } };
  return new Resvg(svg, options).render().asPng();
}

function manifest(fields: Record<string, string>): string {
  const png = (size: number, purpose = 'any') => ({
    src: `/icons/icon-${size}.png`,
    sizes: `${size}x${size}`,
    type: 'image/png',
    purpose,
  });
  return JSON.stringify({
    id: '/',
    start_url: '/',
    scope: '/',
    display: 'standalone',
    ...fields,
    icons: [png(192), png(512), png(512, 'maskable'), { src: '/icons/icon.svg', sizes: 'any', type: 'image/svg+xml' }],
  });
}

/** Every file below `out`, with slashes, without compressed copies and the bundler's own notes. */
function listFiles(out: string): string[] {
  const names = fs.readdirSync(out, { recursive: true }) as string[];
  return names
    .map((name) => name.split(path.sep).join('/'))
    .filter((name) => fs.statSync(path.join(out, name)).isFile())
    .filter((name) => !name.startsWith('.vite') && !/\.(br|gz)$/.test(name))
    .sort();
}

function addIntegrity(out: string): void {
  const page = path.join(out, 'index.html');
  const html = fs.readFileSync(page, 'utf8');
  const tag = /<(script|link)\b([^>]*?)(src|href)="\/(assets\/[^"]+)"/g;
  const withIntegrity = html.replace(tag, (_, name: string, before: string, attribute: string, file: string) => {
    const digest = createHash('sha384').update(fs.readFileSync(path.join(out, file))).digest('base64');
    return `<${name}${before}integrity="sha384-${digest}" ${attribute}="/${file}"`;
  });
  fs.writeFileSync(page, withIntegrity);
}

function writeWorker(out: string, source: string): void {
  // Every chunk is listed: naming patterns miss shared chunks that the bundler splits off.
  const wanted = /^assets\/.*\.(js|css)$|^index\.html$|webmanifest$|^icons\/icon(-192\.png|\.svg)$/;
  const files = listFiles(out).filter((name) => wanted.test(name));
  const version = createHash('sha256').update(source);
  for (const name of files) version.update(name).update(fs.readFileSync(path.join(out, name)));
  const addresses = files.map((name) => '/' + (name === 'index.html' ? '' : name));
  const worker = source
    .replace('__VERSION__', version.digest('hex').slice(0, 12))
    .replace('__PRECACHE__', JSON.stringify(addresses));
  fs.writeFileSync(path.join(out, 'sw.js'), worker);
}

function compress(out: string): void {
  for (const name of listFiles(out).filter((file) => /\.(js|css|html|svg|webmanifest|json)$/.test(file))) {
    const body = fs.readFileSync(path.join(out, name));
    if (body.length < SMALLEST_WORTH_COMPRESSING) continue;
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11 };
    fs.writeFileSync(path.join(out, `${name}.br`), brotliCompressSync(body, { params }));
    fs.writeFileSync(path.join(out, `${name}.gz`), gzipSync(body, { level: 9 }));
  }
}

/** Finishes a build of the dashboard; does nothing when bundling failed. */
export function kiraBuild(options: KiraBuildOptions): Plugin {
  let config: ResolvedConfig;
  return {
    name: 'kira-build',
    apply: 'build',
    configResolved(resolved) {
      config = resolved;
    },
    closeBundle() {
      const out = path.resolve(config.root, config.build.outDir);
      const read = (file: string) => fs.readFileSync(path.resolve(config.root, file), 'utf8');
      if (!fs.existsSync(path.join(out, 'index.html'))) return;
      fs.mkdirSync(path.join(out, 'icons'), { recursive: true });
      const svg = read(options.icon);
      fs.writeFileSync(path.join(out, 'icons/icon.svg'), svg);
      for (const size of ICON_SIZES) fs.writeFileSync(path.join(out, `icons/icon-${size}.png`), icon(svg, size));
      fs.writeFileSync(path.join(out, 'manifest.webmanifest'), manifest(options.manifest));
      addIntegrity(out);
      writeWorker(out, read(options.worker));
      compress(out);
    },
  };
}
