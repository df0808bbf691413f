// Light, dark or the system's choice: applied from this browser's memory before the first paint.
import { recall, remember } from './memory';

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'kira.theme';

/** Shows `theme` now and remembers it for the next start of this browser. */
export function setTheme(theme: Theme): void {
  const root = document.documentElement;
  if (theme === 'system') delete root.dataset.theme;
  else root.dataset.theme = theme;
  remember(KEY, theme);
}

/** Shows what this browser remembers; called before anything is drawn. */
export function applyRememberedTheme(): void {
  const theme = remembered();
  if (theme !== 'system') document.documentElement.dataset.theme = theme;
}

function remembered(): Theme {
  const value = recall(KEY);
  return value === 'light' || value === 'dark' ? value : 'system';
}
