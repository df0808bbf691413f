// Keys as people read them.
import { palette as words } from '$/words/palette';

const isApple = (): boolean => /Mac|iPhone|iPad/.test(navigator.userAgent);

/** `mod+k` -> ["Ctrl + K"] (or "⌘ K"); `g w` -> ["G", "W"]: one entry for each press. */
export function spoken(keys: string): string[] {
  const apple = isApple();
  return keys.split(' ').map((press) => {
    const parts = press.split('+').filter(Boolean);
    if (!parts.length) return press;
    const named = parts.map((part) => (part === 'mod' ? words.keyNames[apple ? 'command' : 'mod'] : part.length === 1 ? part.toUpperCase() : part));
    return named.join(apple ? ' ' : ' + ');
  });
}
