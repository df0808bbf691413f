// One conversation: its tree of messages, the branch that is shown, and the run that answers its end.
import { ApiError, call } from '$/api/client';
import type { Message, MessagePage, Run } from '$/api/types';
import { follow, tellChanged } from '$/live';
import { replyTo, runs, track, type RunView } from '$/runs.svelte';
import { list } from './list.svelte';
import { needProse } from './prose.svelte';
import { rowsOf, subtree, tipBelow, wayTo, type Row, type Tree } from './tree';

const PAGE = 100;

export class Thread {
  readonly id: string;
  tree = $state.raw<ReadonlyMap<string, Message>>(new Map());
  leafId = $state<string | null>(null);
  phase = $state<'loading' | 'ready' | 'failed' | 'missing'>('loading');
  problem = $state('');
  /** Where earlier messages begin, or null when all are here. */
  next = $state<string | null>(null);
  loadingEarlier = $state(false);

  readonly rows: Row[] = $derived(rowsOf(this.tree, this.leafId));
  // Ids never come back: what was deleted stays away although an older answer, or its run, still tells of it.
  readonly #gone = new Set<string>();
  readonly leaf = $derived(this.leafId ? this.tree.get(this.leafId) : undefined);
  /** The run that answers the shown end, unless its answer is already a message. */
  readonly run: RunView | undefined = $derived.by(() => {
    if (this.leaf?.role !== 'user') return undefined;
    const run = replyTo(this.leaf.id);
    return run && !this.#answerOf(run) && !this.#isGone(run) ? run : undefined;
  });
  readonly isBusy = $derived(!!this.run?.isActive);
  readonly lastModel = $derived(this.rows.findLast((row) => row.message.model)?.message.model ?? null);
  readonly lastQuestion = $derived(this.rows.findLast((row) => row.message.role === 'user')?.message);

  constructor(id: string) {
    this.id = id;
  }

  /** Loads the messages and the runs that are not answers yet; what is no longer there goes from the page. */
  async load(): Promise<void> {
    const before = this.tree;
    try {
      const [page, conversation] = await Promise.all([
        this.#page(),
        list.byId(this.id) ?? call('GET /api/conversations/{id}', { path: { id: this.id } }),
        needProse(),
      ]);
      for (const run of page.runs) this.#meet(run);
      this.#replace(before, page.items);
      this.next = page.next;
      this.#chooseLeaf(this.phase === 'ready' ? this.leafId : conversation.leaf_id, before);
      this.phase = 'ready';
    } catch (error) {
      this.#fail(error);
    }
  }

  // The newest messages, and as many earlier ones as are here already.
  async #page(): Promise<MessagePage> {
    const oldest = [...this.tree.keys()].sort()[0];
    const page = await this.#ask(null);
    while (page.next && oldest && oldest < page.next) {
      const earlier = await this.#ask(page.next);
      page.items.unshift(...earlier.items);
      page.next = earlier.next;
    }
    return page;
  }

  #ask(before: string | null): Promise<MessagePage> {
    const query = { limit: PAGE, ...(before && { before }) };
    return call('GET /api/conversations/{id}/messages', { path: { id: this.id }, query });
  }

  // What was here `before` the server was asked and is not in its answer was deleted; what came since stays.
  #replace(before: Tree, items: Message[]): void {
    const found = new Set(items.map((message) => message.id));
    for (const message of before.values()) if (!found.has(message.id)) this.#forget(message);
    this.tree = new Map([...items, ...this.tree.values()].filter(({ id }) => !this.#gone.has(id)).map((one) => [one.id, one]));
  }

  #forget(message: Message): void {
    this.#gone.add(message.id);
    if (message.role === 'assistant' && message.run_id) this.#gone.add(message.run_id);
  }

  #isGone(run: RunView): boolean {
    return this.#gone.has(run.id) || (run.answerId !== null && this.#gone.has(run.answerId));
  }

  #meet(run: Run): void {
    if (run.state === 'queued' || run.state === 'running') follow(run);
    else track(run);
  }

  #fail(error: unknown): void {
    if (!(error instanceof ApiError)) throw error;
    this.problem = error.message;
    if (error.status === 404) this.phase = 'missing';
    else if (this.phase === 'loading') this.phase = 'failed';
  }

  // A question that has an answer and nothing under way is not an end: the newest answer below it is.
  #chooseLeaf(wanted: string | null, before: Tree): void {
    const known = wayTo(before, wanted).findLast((message) => this.tree.has(message.id))?.id ?? wanted;
    this.leafId = known && this.tree.has(known) ? known : tipBelow(this.tree, null);
    const run = this.run;
    if (!run) this.leafId = tipBelow(this.tree, this.leafId);
  }

  async loadEarlier(): Promise<void> {
    if (!this.next || this.loadingEarlier) return;
    this.loadingEarlier = true;
    try {
      const page = await this.#ask(this.next);
      this.tree = new Map([...page.items.map((message) => [message.id, message] as const), ...this.tree]);
      this.next = page.next;
    } catch (error) {
      this.#fail(error);
    } finally {
      this.loadingEarlier = false;
    }
  }

  /** Puts in one message; when `shown`, the branch ends with it. */
  put(message: Message, shown: boolean): void {
    this.tree = new Map(this.tree).set(message.id, message);
    if (shown) this.leafId = message.id;
  }

  /** What a new question follows: the shown end, or the answer to it that is written but not loaded yet. */
  get end(): string | null {
    return (this.run?.state === 'done' && this.run.answerId) || this.leafId;
  }

  /** Shows `question` and what becomes of `runId`: its answer may have been quicker than the reply to the request. */
  ask(question: string | null, runId: string): void {
    const run = runs.get(runId);
    this.leafId = (run && this.#answerOf(run)) ?? question;
  }

  /** Shows the branch through `messageId`, here and wherever this conversation is opened next. */
  async show(messageId: string): Promise<void> {
    const tip = tipBelow(this.tree, messageId) ?? messageId;
    if (tip === this.leafId) return;
    this.leafId = tip;
    list.change(this.id, await call('PATCH /api/conversations/{id}', { path: { id: this.id }, body: { leaf_id: tip } }));
    tellChanged(this.id);
  }

  /** Takes away `messageId` and everything below it, here and on the server. */
  async remove(messageId: string): Promise<void> {
    await call('DELETE /api/messages/{id}', { path: { id: messageId } });
    const before = this.tree;
    const gone = subtree(before, messageId);
    for (const message of before.values()) if (gone.has(message.id)) this.#forget(message);
    this.tree = new Map([...before].filter(([id]) => !gone.has(id)));
    if (this.leafId && gone.has(this.leafId)) this.#chooseLeaf(this.leafId, before);
    tellChanged(this.id);
  }

  /** A run of this conversation ended: its answer becomes a message. */
  async settle(run: RunView): Promise<void> {
    const question = run.messageId;
    const shown = question !== null && this.leafId === question;
    if (run.state === 'failed' || this.#isGone(run)) return;
    if (run.state === 'done' && run.isWhole && run.answerId && question && run.text && !this.tree.has(run.answerId)) {
      this.put(answerOf(run, run.answerId, question), shown);
      return;
    }
    await this.load();
    const answer = this.#answerOf(run);
    if (shown && answer && this.leafId === question) this.leafId = answer; // Meanwhile something else may have been asked.
  }

  /** The message that `run` became. */
  #answerOf(run: RunView): string | undefined {
    if (run.answerId && this.tree.has(run.answerId)) return run.answerId;
    return [...this.tree.values()].find((message) => message.run_id === run.id && message.role === 'assistant')?.id;
  }
}

function answerOf(run: RunView, id: string, question: string): Message {
  return {
    id, conversation_id: run.conversationId ?? '', parent_id: question, role: 'assistant', content: run.text,
    model: run.model, run_id: run.id, created_at: new Date().toISOString(), usage: run.usage, cancelled: false,
  };
}

const KEPT_THREADS = 8;
const threads = new Map<string, Thread>();

/** The conversation `id`: as it was left when it was open before, and loaded again in any case. */
export function openThread(id: string): Thread {
  const thread = threads.get(id) ?? new Thread(id);
  threads.delete(id);
  threads.set(id, thread);
  for (const old of [...threads.keys()].slice(0, -KEPT_THREADS)) threads.delete(old);
  return thread;
}

/** The conversation `id` if it was open before. */
export const knownThread = (id: string): Thread | undefined => threads.get(id);
