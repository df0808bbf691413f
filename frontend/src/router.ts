// Addresses of the dashboard over the History API: the path as a reactive value, going somewhere, plain links.
import { createSubscriber } from 'svelte/reactivity';

export type Params = Record<string, string>;

const listeners = new Set<() => void>();
const subscribe = createSubscriber((update) => {
  listeners.add(update);
  return () => listeners.delete(update);
});
const changed = (): void => listeners.forEach((listener) => listener());

/** The current path; reading it in a component or an effect follows every change. */
export function path(): string {
  subscribe();
  return location.pathname;
}

/** The current query; reactive as `path` is. */
export function query(): URLSearchParams {
  subscribe();
  return new URLSearchParams(location.search);
}

/** Goes to `to` (path and query) without loading the page again; `replace` leaves no step to go back to. */
export function navigate(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  changed();
}

/** The parameters of `pattern` (such as `/c/:id`) in `actual`, or null when it does not fit. */
export function match(pattern: string, actual: string): Params | null {
  const wanted = pattern.split('/').filter(Boolean);
  const given = actual.split('/').filter(Boolean);
  if (wanted.length !== given.length) return null;
  const params: Params = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? '';
    if (part.startsWith(':')) params[part.slice(1)] = safeDecode(value);
    else if (part !== value) return null;
  }
  return params;
}

function safeDecode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value; // A broken escape names nothing; the page then says that it was not found.
  }
}

function followLink(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.('a');
  const special = event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  if (!link || special || event.defaultPrevented || link.target || link.hasAttribute('download')) return;
  const isHere = link.hash && link.pathname === location.pathname && link.search === location.search;
  if (isHere || link.origin !== location.origin || /^\/(api|metrics)(\/|$)/.test(link.pathname)) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
}

/** Starts listening to links and to the browser's own back and forward. */
export function startRouter(): void {
  addEventListener('popstate', changed);
  document.addEventListener('click', followLink);
}
