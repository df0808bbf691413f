// Typed text that is not sent yet: one per conversation, kept by the browser through reloads and crashes.
const PREFIX = 'kira.draft.';
const MONTH_MS = 30 * 86_400_000;
/** Where the browser forbids storage, drafts live as long as the page. */
const memory = new Map<string, string>();

interface Kept {
  text: string;
  /** Milliseconds since 1970. */
  at: number;
}

const place = (userId: string, key: string): string => `${PREFIX}${userId}.${key}`;

/** The draft of `userId` under `key`: a conversation's id, `new`, or the id of a message being edited. */
export function readDraft(userId: string, key: string): string {
  const name = place(userId, key);
  try {
    const kept = localStorage.getItem(name);
    return kept ? (JSON.parse(kept) as Kept).text : (memory.get(name) ?? '');
  } catch {
    return memory.get(name) ?? ''; // Forbidden storage or a damaged entry: what this page remembers is left.
  }
}

/** Keeps `text`, or forgets the draft when it is empty. */
export function writeDraft(userId: string, key: string, text: string): void {
  const name = place(userId, key);
  if (text) memory.set(name, text);
  else memory.delete(name);
  try {
    if (text) localStorage.setItem(name, JSON.stringify({ text, at: Date.now() } satisfies Kept));
    else localStorage.removeItem(name);
  } catch {
    // Full or forbidden: the draft lives in memory until the page goes.
  }
}

/** Forgets drafts nobody came back to for a month. */
export function forgetOldDrafts(now = Date.now()): void {
  try {
    for (const name of Object.keys(localStorage).filter((key) => key.startsWith(PREFIX))) {
      const kept = JSON.parse(localStorage.getItem(name) ?? '{}') as Partial<Kept>;
      if ((kept.at ?? 0) < now - MONTH_MS) localStorage.removeItem(name);
    }
  } catch {
    // Storage is forbidden: there is nothing to forget.
  }
}
