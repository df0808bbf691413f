// What keys mean in lists: where the next entry is, and which entry a letter leads to.

/** The entry a key leads to in a round list of `length`, or undefined when it is no such key; `at` may be -1. */
export function step(key: string, at: number, length: number): number | undefined {
  if (!length) return undefined;
  if (key === 'ArrowDown') return (at + 1) % length;
  if (key === 'ArrowUp') return at <= 0 ? length - 1 : at - 1;
  if (key === 'Home') return 0;
  if (key === 'End') return length - 1;
  return undefined;
}

/** The next entry after `at` that starts with the typed letter. */
export function startsWith(key: string, labels: readonly string[], at: number): number | undefined {
  if (key.length !== 1 || key === ' ') return undefined;
  const order = labels.map((_, i) => (at + 1 + i) % labels.length);
  return order.find((i) => labels[i]?.trim().toLowerCase().startsWith(key.toLowerCase()));
}

/** True when every typed word occurs in the text. */
export function fits(text: string, typed: string): boolean {
  const low = text.toLowerCase();
  return typed.toLowerCase().split(/\s+/).every((word) => low.includes(word));
}

/** True where a plain letter is text and not a shortcut. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches('input:not([type=checkbox], [type=radio], [type=button]), textarea, select, [role=menu] *, [role=combobox]');
}
