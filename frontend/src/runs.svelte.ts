// The runs that are under way, each as state that follows its events; the same in every tab.
import { SvelteMap } from 'svelte/reactivity';
import type { Run, RunError, Usage } from './api/types';
import type { ServerEvent } from './api/events';

export type RunState = Run['state'];
const RATE_WINDOW_MS = 4_000;
const HIDDEN_FLUSH_MS = 250;
const RATE_PAUSE_MS = 500;
/** Fewer tokens than this say little about how long a token is. */
const TELLING_TOKENS = 20;
/** For the rate while writing: first a rule of thumb, then what the last answer really had. */
let charactersPerToken = 4;

/** What another tab needs to show a run as this one does. */
export interface RunSnapshot {
  run: Run;
  text: string;
  thinking: string;
  isWhole: boolean;
}

/** One run and what it says while it goes. */
export class RunView {
  readonly id: string;
  readonly kind: Run['kind'];
  conversationId = $state<string | null>(null);
  messageId = $state<string | null>(null);
  answerId = $state<string | null>(null);
  state = $state<RunState>('queued');
  position = $state<number | null>(null);
  waitS = $state<number | null>(null);
  reason = $state<string | null>(null);
  model = $state<string | null>(null);
  error = $state<RunError | null>(null);
  usage = $state<Usage | null>(null);
  /** What the user must know of the answer, such as that old messages no longer fit. */
  note = $state<string | null>(null);
  tool = $state<string | null>(null);
  text = $state('');
  thinking = $state('');
  /** Tokens a second over the last seconds, about; null before there is enough to tell. */
  rate = $state<number | null>(null);
  /** When the line of state last changed its subject, in milliseconds since 1970. */
  since = $state(Date.now());
  readonly createdAt: string;
  /** The text is known from its beginning. */
  isWhole = true;

  #text = '';
  #thinking = '';
  #heard = false;
  #flushing = false;
  #ratedAt = 0;
  #arrivals: { at: number; size: number }[] = [];

  constructor(run: Run) {
    this.id = run.id;
    this.kind = run.kind;
    this.createdAt = run.created_at;
    this.adopt(run);
  }

  get isActive(): boolean {
    return this.state === 'queued' || this.state === 'running';
  }

  /** Takes over what the server says about the run as a whole. */
  adopt(run: Run): void {
    this.conversationId = run.conversation_id ?? this.conversationId;
    this.messageId = run.message_id ?? this.messageId;
    this.answerId = run.answer_id ?? this.answerId;
    const isOlder = this.#heard && (run.state === 'queued' || run.state === 'running');
    if (isOlder) return; // The events are ahead of an answer that was on its way.
    this.state = run.state;
    this.position = run.position;
    this.waitS = run.wait_s;
    this.reason = run.reason;
    this.model = run.model ?? this.model;
    this.error = run.error;
    this.usage = run.usage ?? this.usage;
  }

  /** Forgets the text so far: the run, or the telling of it, begins again. */
  restart(): void {
    this.#text = this.text = '';
    this.#thinking = this.thinking = '';
    this.#arrivals = [];
    this.isWhole = true;
    this.rate = null;
    this.note = null;
    this.tool = null;
    this.since = Date.now();
  }

  restore({ run, text, thinking, isWhole }: RunSnapshot): void {
    this.adopt(run);
    this.isWhole = isWhole;
    this.#text = this.text = text;
    this.#thinking = this.thinking = thinking;
  }

  snapshot(): RunSnapshot {
    const run: Run = {
      id: this.id, kind: this.kind, state: this.state, conversation_id: this.conversationId,
      message_id: this.messageId, answer_id: this.answerId, model: this.model, position: this.position,
      wait_s: this.waitS, reason: this.reason, error: $state.snapshot(this.error), usage: $state.snapshot(this.usage),
      created_at: this.createdAt, started_at: null, ended_at: null,
    };
    return { run, text: this.#text, thinking: this.#thinking, isWhole: this.isWhole };
  }

  apply({ kind, data }: ServerEvent): void {
    if (!this.isActive) return; // Told again after its end.
    this.#heard = true;
    if (typeof data.message_id === 'string' && kind !== 'done') this.messageId = data.message_id;
    if (kind === 'delta') this.#write(String(data.text ?? ''));
    else if (kind === 'thinking') this.#think(String(data.text ?? ''));
    else if (kind === 'queued') this.#queue(data);
    else if (kind === 'started') this.#start(data);
    else if (kind === 'reason') this.#explain(String(data.text ?? ''));
    else if (kind === 'tool') this.tool = data.state === 'done' ? null : String(data.name ?? '');
    else if (kind === 'restart') this.restart();
    else this.#end(kind, data);
  }

  #queue(data: Record<string, unknown>): void {
    if (this.state === 'running') this.reason = this.tool = null; // It went back to the line: what it did is over.
    this.state = 'queued';
    this.position = (data.position as number | null) ?? null;
    this.waitS = (data.wait_s as number | null) ?? null;
    this.since = Date.now();
  }

  #start(data: Record<string, unknown>): void {
    this.state = 'running';
    this.position = this.waitS = this.reason = null;
    this.model = (data.model as string | undefined) ?? this.model;
    this.since = Date.now();
  }

  #explain(text: string): void {
    // A step is named in a few words; what was left out is told in a sentence, and stays with the answer.
    if (this.state === 'running' && text.endsWith('.')) this.note = text;
    else this.reason = text || null;
    this.since = Date.now();
  }

  #write(text: string): void {
    this.state = 'running';
    this.#text += text;
    this.#arrivals.push({ at: Date.now(), size: text.length });
    this.#flushSoon();
  }

  #think(text: string): void {
    this.state = 'running';
    this.#thinking += text;
    this.#flushSoon();
  }

  #end(kind: string, data: Record<string, unknown>): void {
    this.#flush();
    if (data.settled) this.isWhole = false;
    if (kind === 'done') {
      this.answerId = (data.message_id as string | null) ?? null;
      this.usage = (data.usage as Usage | null) ?? null;
      this.state = 'done';
      this.#learn();
    } else if (kind === 'failed') {
      this.error = { code: String(data.code), message: String(data.message) };
      this.state = 'failed';
    } else if (kind === 'cancelled') this.state = 'cancelled';
  }

  #learn(): void {
    const tokens = this.usage?.completion_tokens ?? 0;
    if (tokens >= TELLING_TOKENS && this.isWhole && !this.#thinking) charactersPerToken = this.#text.length / tokens;
  }

  // Many deltas arrive between two frames; the page hears of them once a frame.
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    if (document.visibilityState === 'visible') requestAnimationFrame(() => this.#flush());
    else setTimeout(() => this.#flush(), HIDDEN_FLUSH_MS);
  }

  #flush(): void {
    this.#flushing = false;
    this.text = this.#text;
    this.thinking = this.#thinking;
    if (Date.now() - this.#ratedAt < RATE_PAUSE_MS) return;
    this.#ratedAt = Date.now();
    this.rate = this.#measure();
  }

  #measure(): number | null {
    const from = Date.now() - RATE_WINDOW_MS;
    while (this.#arrivals[0] && this.#arrivals[0].at < from) this.#arrivals.shift();
    const [first, ...later] = this.#arrivals;
    const last = later.at(-1);
    if (!first || !last || last.at - first.at < 500) return this.rate;
    const characters = later.reduce((sum, arrival) => sum + arrival.size, 0);
    return Math.max(1, Math.round((characters / charactersPerToken / (last.at - first.at)) * 1000));
  }
}

/** Every run this tab has heard of, by id; the newest last. */
export const runs = new SvelteMap<string, RunView>();

/** The view of `run`, made when it is new and brought up to date when not. */
export function track(run: Run): RunView {
  const known = runs.get(run.id);
  if (known) {
    if (known.isActive) known.adopt(run);
    return known;
  }
  const view = new RunView(run);
  runs.set(run.id, view);
  return view;
}

/** The active runs. */
export const activeRuns = (): RunView[] => [...runs.values()].filter((run) => run.isActive);

/** The newest reply to the question `messageId`. */
export function replyTo(messageId: string): RunView | undefined {
  return [...runs.values()].filter((run) => run.kind === 'reply' && run.messageId === messageId).at(-1);
}
