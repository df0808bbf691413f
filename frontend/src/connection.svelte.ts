// Whether Kira can be reached: learned from every request, and asked for again while it cannot.
import { onReach } from './api/client';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;

class Connection {
  reachable = $state(navigator.onLine);
  /** When something last arrived, in milliseconds since 1970. */
  lastHeard = $state(Date.now());
}
export const connection = new Connection();

const whenBack = new Set<() => void>();
/** Calls `action` every time Kira can be reached again; returns how to stop that. */
export function onBack(action: () => void): () => void {
  whenBack.add(action);
  return () => whenBack.delete(action);
}

let pause = FIRST_PAUSE_MS;
let timer: ReturnType<typeof setTimeout> | undefined;

function heard(reachable: boolean): void {
  if (reachable) {
    const wasAway = !connection.reachable;
    connection.reachable = true;
    connection.lastHeard = Date.now();
    pause = FIRST_PAUSE_MS;
    clearTimeout(timer);
    timer = undefined;
    if (wasAway) for (const action of whenBack) action();
  } else {
    connection.reachable = false;
    askAgainLater();
  }
}

function askAgainLater(): void {
  if (timer) return;
  timer = setTimeout(() => {
    timer = undefined;
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    void ask();
  }, pause);
}

async function ask(): Promise<void> {
  try {
    await fetch('/api/health', { cache: 'no-store' });
    heard(true);
  } catch {
    heard(false);
  }
}

/** Starts listening to the browser and to the API client. */
export function watchConnection(): void {
  onReach(heard);
  addEventListener('online', () => void ask());
  addEventListener('offline', () => heard(false));
}
