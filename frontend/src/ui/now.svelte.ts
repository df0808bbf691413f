// The time, as state that ticks while somebody looks; every relative time on the page reads it.

const TICK_MS = 1_000;

let value = $state(Date.now());
let readers = 0;
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  if (document.visibilityState === 'visible') value = Date.now();
}

/** Milliseconds since 1970, at most a second old while a watcher is attached. */
export function now(): number {
  return value;
}

/** Keeps the time ticking until the returned function is called; use inside `$effect`. */
export function watchTime(): () => void {
  value = Date.now();
  if (readers++ === 0) {
    timer = setInterval(tick, TICK_MS);
    document.addEventListener('visibilitychange', tick);
  }
  return () => {
    if (--readers > 0) return;
    clearInterval(timer);
    document.removeEventListener('visibilitychange', tick);
  };
}
