// Lets elements glide from where they were to where a change put them.
import { tick } from 'svelte';

const GLIDE_MS = 120;

/** Runs `change`, then animates every element of `all` that moved; at once under reduced motion. */
export async function glide(all: readonly HTMLElement[], change: () => void): Promise<void> {
  const before = all.map((element) => element.getBoundingClientRect());
  change();
  await tick();
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  all.forEach((element, i) => {
    const from = before[i];
    const to = element.getBoundingClientRect();
    if (!from || (from.left === to.left && from.top === to.top)) return;
    const start = `translate(${from.left - to.left}px, ${from.top - to.top}px)`;
    element.animate?.([{ transform: start }, { transform: 'none' }], { duration: GLIDE_MS, easing: 'ease-out' });
  });
}
