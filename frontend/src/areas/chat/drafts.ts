// Typed text that is not sent yet: one per conversation, kept by the browser through reloads and crashes.
import { recall, recallKeys, remember } from '$/memory';

const PREFIX = 'kira.draft.';
const MONTH_MS = 30 * 86_400_000;
/** Where the browser keeps nothing, drafts live as long as the page. */
const here = new Map<string, string>();

interface Kept {
  text: string;
  /** Milliseconds since 1970. */
  at: number;
}

const place = (userId: string, key: string): string => `${PREFIX}${userId}.${key}`;

function kept(name: string): Kept | null {
  try {
    return JSON.parse(recall(name) ?? 'null') as Kept | null;
  } catch {
    return null; // A damaged entry holds no draft.
  }
}

/** The draft of `userId` under `key`: a conversation's id, `new`, or the id of a message being edited. */
export function readDraft(userId: string, key: string): string {
  const name = place(userId, key);
  return kept(name)?.text ?? here.get(name) ?? '';
}

/** Keeps `text`, or forgets the draft when it is empty. */
export function writeDraft(userId: string, key: string, text: string): void {
  const name = place(userId, key);
  if (text) here.set(name, text);
  else here.delete(name);
  remember(name, text ? JSON.stringify({ text, at: Date.now() } satisfies Kept) : null);
}

/** Forgets drafts nobody came back to for a month. */
export function forgetOldDrafts(now = Date.now()): void {
  for (const name of recallKeys(PREFIX)) if ((kept(name)?.at ?? 0) < now - MONTH_MS) remember(name, null);
}
