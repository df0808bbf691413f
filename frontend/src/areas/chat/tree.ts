// A conversation is a tree of messages; what is shown is one way from its root to a leaf.
import type { Message } from '$/api/types';

export type Tree = ReadonlyMap<string, Message>;

/** Ids are made in order of time, so they also sort by it. */
const byAge = (a: Message, b: Message): number => (a.id < b.id ? -1 : 1);

/** The messages directly below `parentId` (null: first messages), oldest first. */
export function childrenOf(tree: Tree, parentId: string | null): Message[] {
  return [...tree.values()].filter((message) => parentOf(tree, message) === parentId).sort(byAge);
}

/** The parent that is here; messages whose parent was not loaded stand at the top. */
function parentOf(tree: Tree, message: Message): string | null {
  return message.parent_id !== null && tree.has(message.parent_id) ? message.parent_id : null;
}

/** The way from the top to `leafId`, oldest first; empty when there is no such message. */
export function wayTo(tree: Tree, leafId: string | null): Message[] {
  const way: Message[] = [];
  for (let message = leafId ? tree.get(leafId) : undefined; message; ) {
    way.unshift(message);
    message = message.parent_id ? tree.get(message.parent_id) : undefined;
  }
  return way;
}

/** The end of the newest branch below `messageId`, or of the whole tree for null; null when there is nothing. */
export function tipBelow(tree: Tree, messageId: string | null): string | null {
  let tip = messageId;
  for (let next = childrenOf(tree, tip).at(-1); next; next = childrenOf(tree, tip).at(-1)) tip = next.id;
  return tip;
}

/** `messageId` and everything below it. */
export function subtree(tree: Tree, messageId: string): Set<string> {
  const found = new Set([messageId]);
  for (const message of [...tree.values()].sort(byAge)) {
    if (message.parent_id && found.has(message.parent_id)) found.add(message.id);
  }
  return found;
}

export interface Row {
  message: Message;
  /** All versions of this message, this one among them, oldest first. */
  versions: string[];
}

/** The shown messages, each with the versions one can switch to. */
export function rowsOf(tree: Tree, leafId: string | null): Row[] {
  const versions = new Map<string | null, string[]>();
  for (const message of [...tree.values()].sort(byAge)) {
    const parent = parentOf(tree, message);
    versions.set(parent, [...(versions.get(parent) ?? []), message.id]);
  }
  return wayTo(tree, leafId).map((message) => ({ message, versions: versions.get(parentOf(tree, message)) ?? [] }));
}
