// Light, dark or the system's choice: applied from this browser's memory before the first paint.
export type Theme = 'system' | 'light' | 'dark';
const KEY = 'kira.theme';

/** Shows `theme` now and remembers it for the next start of this browser. */
export function setTheme(theme: Theme): void {
  const root = document.documentElement;
  if (theme === 'system') delete root.dataset.theme;
  else root.dataset.theme = theme;
  remember(theme);
}

/** Shows what this browser remembers; called before anything is drawn. */
export function applyRememberedTheme(): void {
  const theme = remembered();
  if (theme !== 'system') document.documentElement.dataset.theme = theme;
}

function remembered(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    return 'system'; // Storage may be forbidden; the theme is then the system's until settings arrive.
  }
}

function remember(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage may be full or forbidden; settings on the server still hold the choice.
  }
}
