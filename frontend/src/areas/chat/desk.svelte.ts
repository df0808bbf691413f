// What is going on at the open conversation: sending, editing, stopping, and what went wrong with it.
import { ApiError } from '$/api/client';
import type { Message } from '$/api/types';
import { navigate } from '$/router';
import { session } from '$/session.svelte';
import { duration } from '$/words';
import { chat } from '$/words/chat';
import { abandon, answerAgain, send, startConversation, stop, type Question } from './actions';
import { writeDraft } from './drafts';
import { choices } from './models.svelte';
import type { Thread } from './thread.svelte';

/** Until the server has it, the same text keeps its key, however often it is sent. */
interface Attempt {
  text: string;
  key: string;
  /** Made for it already, when the message itself failed. */
  thread: Thread | null;
}

function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID needs a secure address; this does not.
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Desk {
  thread = $state.raw<Thread | null>(null);
  editing = $state<string | null>(null);
  problem = $state('');
  #stopped = $state<string | null>(null);
  #attempt: Attempt | null = null;

  get stopping(): boolean {
    return !!this.thread?.run && this.#stopped === this.thread.run.id;
  }

  /** Turns to another conversation, or to a new one (null). */
  open(thread: Thread | null): void {
    if (thread === this.thread) return;
    this.thread = thread;
    this.editing = null;
    this.problem = '';
  }

  /** Sends from the composer; true once the server has it. */
  async send(content: string, model: string | null): Promise<boolean> {
    const from = this.thread;
    return this.#try(chat.sendFailed, async () => {
      const attempt = this.#attemptFor(content, from);
      const thread = (attempt.thread ??= await startConversation());
      await this.#sendTo(thread, attempt, { content, model });
      this.#attempt = null;
      if (this.thread !== from) return;
      if (!from && choices.chosen.new) choices.chosen[thread.id] = choices.chosen.new;
      this.thread = thread;
      navigate(`/c/${thread.id}`);
    });
  }

  // A refused first question leaves no empty conversation; one that was lost on the way may still arrive.
  async #sendTo(thread: Thread, attempt: Attempt, question: Question): Promise<void> {
    try {
      await send(thread, question, attempt.key);
    } catch (error) {
      const refused = error instanceof ApiError && error.status > 0 && error.status < 500;
      if (refused && !this.thread) {
        attempt.thread = null;
        await abandon(thread).catch(() => undefined); // Why the question was refused matters more.
      }
      throw error;
    }
  }

  #attemptFor(text: string, thread: Thread | null): Attempt {
    const last = this.#attempt;
    if (last?.text === text && (!thread || last.thread === thread)) return last;
    this.#attempt = { text, key: newKey(), thread };
    return this.#attempt;
  }

  /** Sends a changed question as another version of `message`. */
  async resend(message: Message, content: string): Promise<void> {
    const thread = this.thread;
    if (!thread) return;
    const question: Question = { content, model: this.#model(thread), parentId: message.parent_id };
    await this.#try(chat.sendFailed, async () => {
      const attempt = this.#attemptFor(`${message.id} ${content}`, thread);
      await send(thread, question, attempt.key);
      this.#attempt = null;
      this.editing = null;
      writeDraft(session.user?.id ?? '', message.id, '');
    });
  }

  edit(messageId: string | null): void {
    this.editing = messageId;
  }

  /** Opens the last question for editing; false where there is none. */
  editLast(): boolean {
    const last = this.thread?.lastQuestion;
    if (!last || this.thread?.isBusy) return false;
    this.editing = last.id;
    return true;
  }

  async again(messageId: string): Promise<void> {
    const thread = this.thread;
    if (thread) await this.#try(chat.actionFailed, () => answerAgain(thread, messageId, this.#model(thread)));
  }

  async show(messageId: string): Promise<void> {
    await this.#try(chat.actionFailed, async () => this.thread?.show(messageId));
  }

  async remove(messageId: string): Promise<void> {
    await this.#try(chat.actionFailed, async () => this.thread?.remove(messageId));
  }

  async stop(): Promise<void> {
    const thread = this.thread;
    if (!thread?.isBusy || this.stopping) return;
    this.#stopped = thread.run?.id ?? null;
    const done = await this.#try(chat.actionFailed, () => stop(thread));
    if (!done) this.#stopped = null;
  }

  #model(thread: Thread): string | null {
    return choices.modelFor(thread.id, thread.lastModel);
  }

  async #try(words: (reason: string) => string, action: () => Promise<unknown>): Promise<boolean> {
    this.problem = '';
    try {
      await action();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const wait = error.problem.retry_after_s;
      this.problem = words(error.message) + (wait ? ` ${chat.waitAndRetry(duration(wait))}` : '');
      return false;
    }
  }
}
