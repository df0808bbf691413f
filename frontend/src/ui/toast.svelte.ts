// Short notices that float above the page; what must be read belongs into the page instead.

/** One notice; `undo` adds a button that takes back what the notice tells. */
export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly undo?: () => void;
}

const SHOWN_MS = 5_000;
const SHOWN_WITH_UNDO_MS = 10_000;

export const toasts = $state<Toast[]>([]);

const timers = new Map<number, ReturnType<typeof setTimeout>>();
let last = 0;

/** Shows `text` for a few seconds and returns its id. */
export function toast(text: string, undo?: () => void): number {
  const id = ++last;
  toasts.push({ id, text, ...(undo && { undo }) });
  resume(id);
  return id;
}

/** Takes a notice away at once. */
export function dismiss(id: number): void {
  hold(id);
  const at = toasts.findIndex((one) => one.id === id);
  if (at >= 0) toasts.splice(at, 1);
}

/** Stops a notice's clock while it is pointed at or holds the focus. */
export function hold(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
}

/** Starts a notice's clock again from the beginning. */
export function resume(id: number): void {
  hold(id);
  const shown = toasts.find((one) => one.id === id)?.undo ? SHOWN_WITH_UNDO_MS : SHOWN_MS;
  timers.set(id, setTimeout(() => dismiss(id), shown));
}
