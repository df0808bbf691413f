// The shell is cached so that Kira opens without a network; answers of the API never are.
// The build fills in the version and the list of files.
const VERSION = 'kira-__VERSION__';
const PRECACHE = __PRECACHE__;
const PATIENCE_MS = 4000;

async function install() {
  const cache = await caches.open(VERSION);
  // 'reload' steps past the browser's own cache, which may hold files of an older version.
  await cache.addAll(PRECACHE.map((url) => new Request(url, { cache: 'reload' })));
  await self.skipWaiting();
}

async function activate() {
  const own = (await caches.keys()).filter((key) => key.startsWith('kira-'));
  // The version before stays: tabs that still run it load their pages lazily, and the server has forgotten those files.
  const before = own.filter((key) => key !== VERSION).slice(-1);
  await Promise.all(own.filter((key) => key !== VERSION && !before.includes(key)).map((key) => caches.delete(key)));
  await self.clients.claim();
}

async function asset(request) {
  const kept = await caches.match(request);
  if (kept) return kept;
  const fresh = await fetch(request);
  if (fresh.ok) await (await caches.open(VERSION)).put(request, fresh.clone());
  return fresh;
}

async function shell() {
  return (await (await caches.open(VERSION)).match('/')) ?? Response.error();
}

async function page(request) {
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
  const fresh = fetch(request).catch(() => undefined);
  const first = await Promise.race([fresh, late]);
  return first && first.status < 500 ? first : shell();
}

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('fetch', (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== 'GET' || origin !== self.location.origin || pathname.startsWith('/api/')) return;
  if (pathname.startsWith('/assets/') || pathname.startsWith('/icons/')) event.respondWith(asset(event.request));
  else if (mode === 'navigate') event.respondWith(page(event.request));
});
