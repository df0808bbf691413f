// Keeps the list and the open conversations current: live events, other tabs, and a slow look at other devices.
import type { ServerEvent } from '$/api/events';
import { connection, onBack } from '$/connection.svelte';
import { onLive, startLive } from '$/live';
import { runs } from '$/runs.svelte';
import { choices } from './models.svelte';
import { list } from './list.svelte';
import { knownThread } from './thread.svelte';

const LOOK_MS = 20_000;
const ENDS = new Set(['done', 'failed', 'cancelled']);

function heard(event: ServerEvent): void {
  const conversationId = event.data.conversation_id;
  if (typeof conversationId !== 'string') return;
  if (event.kind === 'title') list.titled(conversationId, String(event.data.title ?? ''));
  else if (ENDS.has(event.kind)) ended(conversationId, String(event.data.run_id));
}

function ended(conversationId: string, runId: string): void {
  const run = runs.get(runId);
  if (run?.kind !== 'reply') return;
  if (list.byId(conversationId)?.run_id === runId) list.change(conversationId, { run_id: null });
  void knownThread(conversationId)?.settle(run);
}

/** Looks whether another device changed something; conversations that were changed or deleted are loaded again. */
async function look(): Promise<void> {
  if (document.visibilityState !== 'visible' || !connection.reachable) return;
  const before = new Map(list.items.map((item) => [item.id, item.updated_at]));
  await list.refresh();
  for (const [id, updatedAt] of before) {
    if (list.byId(id)?.updated_at !== updatedAt) void knownThread(id)?.load();
  }
}

let started = false;
/** Starts once per page; everything it starts lives as long as the page. */
export function keepCurrent(): void {
  if (started) return;
  started = true;
  onLive({
    event: heard,
    changed: (id) => {
      void list.refresh();
      if (id) void knownThread(id)?.load();
    },
  });
  startLive();
  setInterval(() => void look(), LOOK_MS);
  addEventListener('focus', () => void look());
  document.addEventListener('visibilitychange', () => void look());
  onBack(() => {
    void look();
    void choices.refresh();
  });
}
