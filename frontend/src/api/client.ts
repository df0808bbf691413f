// One typed call to Kira's API, with the access token added and every failure an ApiError that can be shown.
import { api as words } from '../words/api';
import type { Routes } from './types';

export type Route = keyof Routes;
type Needs<R extends Route> = Omit<Routes[R], 'reply'>;
export type Options<R extends Route> = Needs<R> & {
  signal?: AbortSignal;
  /** Repeats the call when the network or an instance behind a proxy fails, as the same request: for what must happen once. */
  idempotencyKey?: string;
  /** The request outlives the page. */
  keepalive?: boolean;
};
export type Reply<R extends Route> = Routes[R]['reply'];
/** Options may be left out where a route needs neither path nor body. */
type Arguments<R extends Route> = Routes[R] extends { path: unknown } | { body: unknown }
  ? [options: Options<R>]
  : [options?: Partial<Options<R>>];

export interface Problem {
  code: string;
  message: string;
  /** INVALID: what is wrong, by field. */
  fields?: { path: string; message: string }[];
  /** RATE_LIMITED, QUEUE_FULL, UNAVAILABLE: seconds until it is worth trying again. */
  retry_after_s?: number;
  limit?: string;
}

/** An answer that is not a success, or no answer at all (status 0, code OFFLINE). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.message);
    this.name = 'ApiError';
  }
  get code(): string {
    return this.problem.code;
  }
}

export interface Gate {
  /** The access token to send, or null where nobody is signed in. */
  token(): Promise<string | null>;
  /** Called on a 401 with the token that was refused; the fresh token, or null when there is none to be had. */
  renew(refused: string): Promise<string | null>;
}

/** Told after every request whether Kira could be reached. */
export type ReachListener = (reachable: boolean) => void;
let reached: ReachListener = () => undefined;
export function onReach(listener: ReachListener): void {
  reached = listener;
}

let gate: Gate = { token: async () => null, renew: async () => null };
/** Tells the client where access tokens come from. */
export function useGate(next: Gate): void {
  gate = next;
}

const RETRY_DELAYS_MS = [400, 1500, 4000];
/** No network, or a proxy whose Kira went away under the request: nobody knows whether it was done. */
const UNANSWERED = [0, 502, 504];
const OPEN_ROUTES = /^\/api\/auth\/(options|sign-up|sign-in|local|refresh)$/;

/** Waits for `ms`, or until the browser says that it is connected again. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(finish, ms);
    function finish(): void {
      clearTimeout(timer);
      removeEventListener('online', finish);
      resolve();
    }
    addEventListener('online', finish);
  });
}


interface Loose {
  path?: Record<string, string>;
  query?: Record<string, unknown>;
  body?: unknown;
  signal?: AbortSignal;
  idempotencyKey?: string;
  keepalive?: boolean;
}

/** The address of a route with its parameters filled in. */
export function address(route: Route, options: Pick<Loose, 'path' | 'query'> = {}): string {
  const template = route.slice(route.indexOf(' ') + 1);
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(options.path?.[name] ?? ''));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== null) query.set(name, String(value));
  }
  return query.size ? `${filled}?${query}` : filled;
}

/** Calls a route and returns what it answers; throws ApiError for anything but a success. */
export async function call<R extends Route>(route: R, ...rest: Arguments<R>): Promise<Reply<R>> {
  const response = await answer(route, (rest[0] ?? {}) as Loose);
  return (await readBody(response)) as Reply<R>;
}

const known = new Map<string, { etag: string; body: unknown }>();
/** As `call`, for a list that is asked for again and again: `changed` is false when the server says it is the same. */
export async function callIfChanged<R extends Route>(
  route: R,
  ...rest: Arguments<R>
): Promise<{ changed: boolean; reply: Reply<R> }> {
  const options = (rest[0] ?? {}) as Loose;
  const key = address(route, options);
  const before = known.get(key);
  const response = await answer(route, options, before && { 'if-none-match': before.etag });
  if (response.status === 304 && before) return { changed: false, reply: before.body as Reply<R> };
  const body = await readBody(response);
  const etag = response.headers.get('etag');
  if (etag) known.set(key, { etag, body });
  return { changed: true, reply: body as Reply<R> };
}

/** Forgets what `callIfChanged` knows: somebody else may sign in next. */
export function forgetAnswers(): void {
  known.clear();
}

/** The raw answer to an authorised GET, for streams. */
export async function open(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  return authorised(path, { headers, signal, cache: 'no-store' }, false);
}

async function answer(route: Route, options: Loose, extra: Record<string, string> = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json', ...extra };
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  if (options.idempotencyKey) headers['idempotency-key'] = options.idempotencyKey;
  const init: RequestInit = {
    method: route.slice(0, route.indexOf(' ')),
    headers,
    credentials: 'same-origin',
    cache: 'no-store',
    ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
    ...(options.signal && { signal: options.signal }),
    ...(options.keepalive && { keepalive: true }),
  };
  const path = address(route, options);
  const delays = options.idempotencyKey ? RETRY_DELAYS_MS : [];
  for (const delay of delays) {
    try {
      return await authorised(path, init, OPEN_ROUTES.test(path));
    } catch (error) {
      if (!(error instanceof ApiError && UNANSWERED.includes(error.status))) throw error;
      await pause(delay);
    }
  }
  return authorised(path, init, OPEN_ROUTES.test(path));
}

async function authorised(path: string, init: RequestInit, isOpen: boolean): Promise<Response> {
  const token = isOpen ? null : await gate.token();
  let response = await send(path, init, token);
  if (response.status === 401 && token) {
    const fresh = await gate.renew(token);
    if (fresh) response = await send(path, init, fresh);
  }
  if (response.ok || response.status === 304) return response;
  throw new ApiError(response.status, await readProblem(response));
}

async function send(path: string, init: RequestInit, token: string | null): Promise<Response> {
  const headers = { ...(init.headers as Record<string, string>), ...(token && { authorization: `Bearer ${token}` }) };
  try {
    const response = await fetch(path, { ...init, headers });
    reached(true);
    return response;
  } catch (error) {
    if (init.signal?.aborted) throw error;
    reached(false);
    throw new ApiError(0, { code: 'OFFLINE', message: words.offline });
  }
}

async function readBody(response: Response): Promise<unknown> {
  if (response.status === 204) return undefined;
  return response.json();
}

async function readProblem(response: Response): Promise<Problem> {
  const unreadable: Problem = { code: 'INTERNAL', message: words.unreadable(response.status) };
  try {
    const body = (await response.json()) as { error?: Problem };
    return body.error ?? unreadable;
  } catch {
    return unreadable; // A proxy in between may answer with a page of its own.
  }
}
