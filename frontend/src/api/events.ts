// Server-sent events over fetch: EventSource cannot carry an Authorization header.
import { open } from './client';

export interface ServerEvent {
  id: string;
  kind: string;
  data: Record<string, unknown>;
}

/** Cuts a stream of text into events; a part of an event waits for its rest. */
export class EventParser {
  #rest = '';

  push(text: string): ServerEvent[] {
    this.#rest += text.replaceAll('\r\n', '\n');
    const frames = this.#rest.split('\n\n');
    this.#rest = frames.pop() ?? '';
    return frames.map(parseFrame).filter((event) => event !== null);
  }
}

function parseFrame(frame: string): ServerEvent | null {
  const fields: Record<string, string> = {};
  for (const line of frame.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 1) continue;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, '');
    fields[name] = name === 'data' && fields.data !== undefined ? `${fields.data}\n${value}` : value;
  }
  if (fields.event === undefined && fields.data === undefined) return null;
  const data = JSON.parse(fields.data || '{}') as Record<string, unknown>;
  return { id: fields.id ?? '', kind: fields.event ?? 'message', data };
}

/** The events of a stream, beginning after `lastId` where one is given, until it ends or `signal` aborts. */
export async function* events(path: string, lastId: string, signal: AbortSignal): AsyncGenerator<ServerEvent> {
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (lastId) headers['last-event-id'] = lastId;
  const response = await open(path, headers, signal);
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => undefined); // The stream may have failed already; nothing is left to cancel.
  }
}
