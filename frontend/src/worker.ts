// Registers the service worker that keeps the shell for offline use; late, so that it never delays a first page.
const ADDRESS = '/sw.js';
const PAUSE_MS = 3_000;

/** A script address the browser accepts under Trusted Types; only the one worker passes. */
function trusted(address: string): string {
  const policy = window.trustedTypes?.createPolicy('kira-sw', {
    createScriptURL: (given) => {
      if (given !== ADDRESS) throw new TypeError('Not the service worker.');
      return given;
    },
  });
  return (policy?.createScriptURL(address) ?? address) as string;
}

/** Registers the worker once the page has loaded and rests. */
export function registerWorker(): void {
  if (!('serviceWorker' in navigator)) return;
  const register = (): void => {
    navigator.serviceWorker.register(trusted(ADDRESS), { scope: '/' }).catch(() => undefined); // Without it only the offline shell is missing.
  };
  addEventListener('load', () => setTimeout(register, PAUSE_MS));
}
