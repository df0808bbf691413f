// How long a limited widget has to wait, counting down.
import { now } from '$/ui/now.svelte';
import { widgets as words } from '$/words/widgets';
import type { Trouble } from './board.svelte';

/** The sentence about the wait, or null when there is none (any more); reactive while the time ticks. */
export function waitFor(trouble: Trouble | undefined): string | null {
  if (!trouble?.until) return null;
  const seconds = (trouble.until - now()) / 1000;
  return seconds > 0 ? words.limited(seconds) : null;
}
