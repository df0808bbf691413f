// A stand-in for Kira's API in tests: answers by route, and remembers what was asked.
import { afterEach, vi } from 'vitest';

export interface Asked {
  readonly route: string;
  readonly body: unknown;
}
type Reply = { status?: number; body?: unknown } | 'offline';
type Answer = (asked: Asked) => Reply | Promise<Reply>;

const shape = (path: string): string => path.replace(/\?.*/, '').replace(/\/[0-9a-f-]{36}|\/w\d+/g, '/{id}');

/** Answers every request from `routes` (`'GET /api/widgets'`), else with 404; returns the list of what was asked. */
export function answerWith(routes: Record<string, Answer>): Asked[] {
  const asked: Asked[] = [];
  vi.stubGlobal('fetch', async (path: string, init: RequestInit = {}) => {
    const route = `${init.method ?? 'GET'} ${shape(path)}`;
    const one = { route, body: init.body ? (JSON.parse(String(init.body)) as unknown) : undefined };
    asked.push(one);
    const answer = (await routes[route]?.(one)) ?? { status: 404, body: { error: { code: 'NOT_FOUND', message: 'Not here.' } } };
    if (answer === 'offline') throw new TypeError('Failed to fetch');
    const { status = 200, body } = answer;
    return new Response(status === 204 ? null : JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });
  });
  return asked;
}

afterEach(() => {
  vi.unstubAllGlobals();
  localStorage.clear();
});
