// One stream of events per browser: the tab that holds the lock reads it and tells the others.
import { ApiError, call } from './api/client';
import { events, type ServerEvent } from './api/events';
import type { Run } from './api/types';
import { connection, onBack } from './connection.svelte';
import { activeRuns, runs, track, type RunSnapshot } from './runs.svelte';

/** What the tabs of one browser tell each other about runs and conversations. */
type Word =
  | { kind: 'event'; event: ServerEvent }
  | { kind: 'idle' }
  | { kind: 'follow'; run: Run }
  | { kind: 'wake' }
  | { kind: 'hello' }
  | { kind: 'snapshot'; runs: RunSnapshot[]; lastId: string }
  | { kind: 'changed'; conversationId: string | null };

export interface LiveListener {
  /** A run ended, or a background run said something about its conversation. */
  event?(event: ServerEvent): void;
  /** Another tab changed this conversation, or the list when null. */
  changed?(conversationId: string | null): void;
}

const LEADER = 'kira.live';
const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000];

// Without locks (an address that is not secure) no tab can lead, so each listens for itself and to itself.
const channel = navigator.locks && typeof BroadcastChannel !== 'undefined' ? new BroadcastChannel('kira.live') : null;
const listeners = new Set<LiveListener>();
let isLeader = false;
let isOpen = false;
let isWanted = false;
let lastId = '';

const tell = (word: Word): void => channel?.postMessage(word);

/** Hears what happens live; returns how to stop that. */
export function onLive(listener: LiveListener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tells the other tabs that a conversation, or the list of them (null), is not what it was. */
export function tellChanged(conversationId: string | null): void {
  tell({ kind: 'changed', conversationId });
}

/** Follows a run that was just accepted or found, in every tab. */
export function follow(run: Run): void {
  track(run);
  tell({ kind: 'follow', run });
  wake();
}

/** There is something to hear: the leader opens the stream unless it is open. */
export function wake(): void {
  isWanted = true;
  if (isLeader) void listen();
  else tell({ kind: 'wake' });
}

/** Joins the tabs of this browser; the first becomes the leader, the next follows when it goes. */
export function startLive(): void {
  channel?.addEventListener('message', (message: MessageEvent<Word>) => hear(message.data));
  tell({ kind: 'hello' });
  onBack(() => void comeBack());
  if (!navigator.locks) return lead();
  void navigator.locks.request(LEADER, () => {
    lead();
    return new Promise(() => undefined);
  });
}

// Runs may have ended while Kira could not be reached; the others go on being told.
async function comeBack(): Promise<void> {
  if (isLeader && activeRuns().length) {
    await askAboutRuns();
    wake();
  }
}

function lead(): void {
  isLeader = true;
  if (isWanted || activeRuns().length) void listen();
}

function hear(word: Word): void {
  if (word.kind === 'event') take(word.event);
  else if (word.kind === 'idle') lastId = '';
  else if (word.kind === 'follow') {
    track(word.run);
    if (isLeader) void listen();
  } else if (word.kind === 'wake' && isLeader) wake();
  else if (word.kind === 'hello' && isLeader) {
    tell({ kind: 'snapshot', runs: activeRuns().map((run) => run.snapshot()), lastId });
  } else if (word.kind === 'snapshot') {
    for (const one of word.runs) track(one.run).restore(one);
    lastId = word.lastId || lastId;
  } else if (word.kind === 'changed') for (const one of listeners) one.changed?.(word.conversationId);
}

async function listen(): Promise<void> {
  if (isOpen || !isLeader) return;
  isOpen = true;
  for (let failures = 0; isWanted; ) {
    const heardBefore = lastId;
    const ended = await readStream();
    if (ended === 'idle') isWanted = (await settle()) > 0;
    failures = lastId === heardBefore && ended !== 'ended' ? failures + 1 : 0;
    if (!connection.reachable) break; // `onBack` wakes again.
    if (isWanted) await pause(failures);
  }
  isOpen = false;
}

const pause = (failures: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]));

async function readStream(): Promise<'idle' | 'ended' | 'failed'> {
  try {
    for await (const event of events('/api/events', lastId, new AbortController().signal)) {
      if (event.kind === 'idle') return 'idle';
      tell({ kind: 'event', event });
      take(event);
    }
    return 'ended';
  } catch {
    return 'failed'; // Lost, refused or too many: said by the connection's state, and tried again after a pause.
  }
}

function take(event: ServerEvent): void {
  lastId = event.id || lastId;
  const runId = event.data.run_id;
  if (typeof runId === 'string') applyTo(runId, event);
  for (const listener of listeners) listener.event?.(event);
}

function applyTo(runId: string, event: ServerEvent): void {
  const known = runs.get(runId);
  const view = known ?? track(unknownRun(runId, event));
  if (!known && (event.kind === 'delta' || event.kind === 'thinking')) view.isWhole = false;
  view.apply(event);
}

function unknownRun(id: string, { data }: ServerEvent): Run {
  return {
    id, kind: (data.kind as Run['kind']) ?? 'reply', state: 'queued',
    conversation_id: (data.conversation_id as string) ?? null, message_id: null, answer_id: null,
    model: null, position: null, wait_s: null, reason: null, error: null, usage: null,
    created_at: new Date().toISOString(), started_at: null, ended_at: null,
  };
}

/** The stream has nothing more: what is still thought active here is asked about. Returns how many are. */
async function settle(): Promise<number> {
  lastId = '';
  tell({ kind: 'idle' });
  await askAboutRuns();
  return activeRuns().length;
}

/** Asks about every run that is thought active, one by one, and tells those that ended. */
async function askAboutRuns(): Promise<void> {
  for (const view of activeRuns()) {
    try {
      const run = await call('GET /api/runs/{id}', { path: { id: view.id } });
      if (run.state === 'queued' || run.state === 'running') continue;
      const event = { id: '', kind: run.state, data: endOf(run) };
      tell({ kind: 'event', event });
      take(event);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) runs.delete(view.id); // Gone with its conversation.
    }
  }
}

const endOf = (run: Run): Record<string, unknown> => ({
  run_id: run.id, conversation_id: run.conversation_id, settled: true,
  ...(run.state === 'done' && { message_id: run.answer_id, usage: run.usage }),
  ...(run.error ?? {}),
});
