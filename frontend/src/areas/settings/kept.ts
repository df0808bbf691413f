// What this device keeps of settings until it is saved, and what it forgets when somebody signs out.
const PROMPT = 'kira.prompt.';
const PRIVATE = ['kira.prompt.', 'kira.note.', 'kira.widgets.'];

/** The unsaved system prompt of this user, or null. */
export function keptPrompt(user: string): string | null {
  try {
    return localStorage.getItem(PROMPT + user);
  } catch {
    return null; // Storage may be forbidden; then nothing is kept.
  }
}

/** Keeps an unsaved system prompt; null when there is none any more. */
export function keepPrompt(user: string, text: string | null): void {
  try {
    if (text === null) localStorage.removeItem(PROMPT + user);
    else localStorage.setItem(PROMPT + user, text);
  } catch {
    // Storage may be full or forbidden; the text then lives as long as the page.
  }
}

/** Removes what belongs to the user from this device: somebody else may sign in next. */
export function forgetUser(): void {
  try {
    for (const key of Object.keys(localStorage)) {
      if (PRIVATE.some((prefix) => key.startsWith(prefix))) localStorage.removeItem(key);
    }
  } catch {
    // Where storage is forbidden there is nothing to remove.
  }
}
