// What this device keeps of widgets: the last answer for offline, and note text that is not saved yet.
import type { Widget } from '$/api/types';

const BOARD = 'kira.widgets.';
const NOTE = 'kira.note.';

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // Storage may be forbidden; then nothing is kept.
  }
}

function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Storage may be full or forbidden; the page works without.
  }
}

/** The widgets of this user as they were last loaded here. */
export function keptBoard(user: string): Widget[] | null {
  try {
    return JSON.parse(read(BOARD + user) ?? 'null') as Widget[] | null;
  } catch {
    return null; // A half-written value is no value.
  }
}

export const keepBoard = (user: string, widgets: readonly Widget[]): void => write(BOARD + user, JSON.stringify(widgets));

/** Text of a note that has not reached the server. */
export const keptNote = (id: string): string | null => read(NOTE + id);

/** Keeps unsaved text; null when it is saved. */
export const keepNote = (id: string, text: string | null): void => write(NOTE + id, text);
