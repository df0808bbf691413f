// What a user does with questions and answers: send, edit, answer again, stop.
import { call } from '$/api/client';
import type { Message } from '$/api/types';
import { follow, tellChanged } from '$/live';
import { chat } from '$/words/chat';
import { runs } from '$/runs.svelte';
import { list } from './list.svelte';
import { openThread, type Thread } from './thread.svelte';

export interface Question {
  content: string;
  model: string | null;
  /** The message it follows; left out: the shown end. */
  parentId?: string | null;
}

/** Makes a conversation; it enters the list with its first question. */
export async function startConversation(): Promise<Thread> {
  const { id } = await call('POST /api/conversations', { body: {} });
  const thread = openThread(id);
  thread.phase = 'ready';
  return thread;
}

/** Takes back a conversation whose first question was refused. */
export async function abandon(thread: Thread): Promise<void> {
  await call('DELETE /api/conversations/{id}', { path: { id: thread.id } });
}

/** Sends a question; asked again with the same `key` it stays one message and one run. */
export async function send(thread: Thread, question: Question, key: string): Promise<Message> {
  const parent = question.parentId === undefined ? thread.end : question.parentId;
  const { message, run } = await call('POST /api/conversations/{id}/messages', {
    path: { id: thread.id },
    body: { content: question.content, parent_id: parent, ...(question.model && { model: question.model }) },
    idempotencyKey: key,
  });
  follow(run);
  thread.put(message, true);
  thread.ask(message.id, run.id);
  const known = list.byId(thread.id);
  const title = known && known.title !== chat.untitled ? known.title : chat.firstWords(message.content);
  const state = { title, updated_at: message.created_at, run_id: underWay(run.id), leaf_id: message.id };
  if (known) list.change(thread.id, state, true);
  else list.add({ ...state, id: thread.id, created_at: message.created_at });
  tellChanged(thread.id);
  return message;
}

/** Asks for another answer: to the question itself, or beside the answer `messageId`. */
export async function answerAgain(thread: Thread, messageId: string, model: string | null): Promise<void> {
  const { run } = await call('POST /api/messages/{id}/regenerate', { path: { id: messageId }, body: model ? { model } : {} });
  const asked = thread.tree.get(messageId);
  const question = asked?.role === 'user' ? asked.id : (asked?.parent_id ?? run.message_id);
  follow({ ...run, message_id: run.message_id ?? question });
  thread.ask(question, run.id);
  list.change(thread.id, { run_id: underWay(run.id) }, true);
  tellChanged(thread.id);
}

/** `runId`, unless that run has ended already: events may be quicker than the reply to a request. */
const underWay = (runId: string): string | null => (runs.get(runId)?.isActive === false ? null : runId);

/** Stops the run that answers the shown end; what it wrote is kept. */
export async function stop(thread: Thread): Promise<void> {
  const run = thread.run;
  if (!run?.isActive) return;
  await call('POST /api/runs/{id}/cancel', { path: { id: run.id } });
}
