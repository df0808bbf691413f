// The records and routes of Kira's API as the dashboard uses them.
export type Id = string;
/** RFC 3339, UTC. */
export type Moment = string;

export interface Page<Item> {
  items: Item[];
  next: string | null;
}

export interface User {
  id: Id;
  email: string | null;
  name: string;
  role: 'user' | 'admin';
  created_at: Moment;
}

export interface SignedIn {
  user: User;
  access_token: string;
  /** Seconds. */
  expires_in: number;
}

export interface AuthOptions {
  accounts: 'off' | 'invite' | 'open';
  sign_up: boolean;
  version: string;
}

export interface Session {
  id: Id;
  device: string;
  created_at: Moment;
  seen_at: Moment;
  current: boolean;
}

export interface Settings {
  model: string | null;
  system_prompt: string;
  theme: 'system' | 'light' | 'dark';
}

export interface Conversation {
  id: Id;
  title: string;
  created_at: Moment;
  updated_at: Moment;
  leaf_id: Id | null;
  /** The active run, if there is one. */
  run_id: Id | null;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

export interface Message {
  id: Id;
  conversation_id: Id;
  parent_id: Id | null;
  role: 'user' | 'assistant';
  content: string;
  model: string | null;
  run_id: Id | null;
  created_at: Moment;
  usage: Usage | null;
  cancelled: boolean;
}

export interface RunError {
  code: string;
  message: string;
}

export interface Run {
  id: Id;
  kind: 'reply' | 'title' | 'widget';
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  conversation_id: Id | null;
  /** The question. */
  message_id: Id | null;
  answer_id: Id | null;
  model: string | null;
  position: number | null;
  /** Seconds. */
  wait_s: number | null;
  reason: string | null;
  error: RunError | null;
  usage: Usage | null;
  created_at: Moment;
  started_at: Moment | null;
  ended_at: Moment | null;
}

export interface MessagePage extends Page<Message> {
  runs: Run[];
}

export interface SearchHit {
  conversation_id: Id;
  message_id: Id;
  title: string;
  role: 'user' | 'assistant';
  excerpt: string;
  created_at: Moment;
}

export interface Model {
  name: string;
  label: string;
  /** Tokens. */
  context: number | null;
  /** Bytes. */
  size: number | null;
  loaded: boolean;
  demo: boolean;
}

export interface ModelServer {
  name: string;
  state: 'ok' | 'down' | 'slow' | 'empty';
  message: string;
  model: string | null;
  slots: number;
  running: number;
}

export interface Models {
  items: Model[];
  default: string | null;
  servers: ModelServer[];
  /** What to do when there is no model. */
  advice: string | null;
}

export type WidgetKind = 'clock' | 'note' | 'usage' | 'queue' | 'recent';

export interface Widget {
  id: Id;
  kind: WidgetKind;
  title: string;
  settings: Record<string, unknown>;
  position: number;
  width: number;
  height: number;
  content: Record<string, unknown> | null;
  refreshed_at: Moment | null;
  created_at: Moment;
}

export interface UsageDay extends Usage {
  /** Such as "2026-11-24". */
  day: string;
  model: string;
  runs: number;
}

interface Cursor {
  limit?: number;
  before?: string;
}
interface ById {
  id: Id;
}
type NewWidget = Pick<Widget, 'kind'> & Partial<Pick<Widget, 'title' | 'settings' | 'width' | 'height'>>;
type WidgetChange = Partial<Pick<Widget, 'title' | 'settings' | 'position' | 'width' | 'height'>>;

/** Every route: what it takes (path, query, body) and what it answers. */
export interface Routes {
  'GET /api/auth/options': { reply: AuthOptions };
  'POST /api/auth/sign-up': {
    body: { email: string; password: string; name?: string; invitation?: string };
    reply: SignedIn;
  };
  'POST /api/auth/sign-in': { body: { email: string; password: string }; reply: SignedIn };
  'POST /api/auth/local': { body: { token: string }; reply: SignedIn };
  'POST /api/auth/refresh': { reply: SignedIn };
  'POST /api/auth/sign-out': { reply: undefined };
  'GET /api/auth/me': { reply: User };
  'PATCH /api/auth/me': { body: { name?: string; email?: string }; reply: User };
  'POST /api/auth/password': { body: { current: string; password: string }; reply: undefined };
  'GET /api/auth/sessions': { reply: Page<Session> };
  'DELETE /api/auth/sessions/{id}': { path: ById; reply: undefined };
  'POST /api/auth/invitations': { body: { email?: string }; reply: { url: string; expires_at: Moment } };
  'GET /api/settings': { reply: Settings };
  'PATCH /api/settings': { body: Partial<Settings>; reply: Settings };
  'GET /api/conversations': { query: Cursor; reply: Page<Conversation> };
  'POST /api/conversations': { body: { title?: string }; reply: Conversation };
  'GET /api/conversations/{id}': { path: ById; reply: Conversation };
  'PATCH /api/conversations/{id}': {
    path: ById;
    body: { title?: string; leaf_id?: Id };
    reply: Conversation;
  };
  'DELETE /api/conversations/{id}': { path: ById; reply: undefined };
  'GET /api/conversations/{id}/messages': { path: ById; query: Cursor; reply: MessagePage };
  'POST /api/conversations/{id}/messages': {
    path: ById;
    body: { content: string; parent_id?: Id | null; model?: string };
    reply: { message: Message; run: Run };
  };
  'POST /api/messages/{id}/regenerate': { path: ById; body: { model?: string }; reply: { run: Run } };
  'DELETE /api/messages/{id}': { path: ById; reply: undefined };
  'GET /api/runs/{id}': { path: ById; reply: Run };
  'POST /api/runs/{id}/cancel': { path: ById; reply: { run: Run } };
  'GET /api/search': { query: { q: string; limit?: number }; reply: Page<SearchHit> };
  'GET /api/models': { reply: Models };
  'GET /api/widgets': { reply: Page<Widget> };
  'POST /api/widgets': { body: NewWidget; reply: Widget };
  'PATCH /api/widgets/{id}': { path: ById; body: WidgetChange; reply: Widget };
  'DELETE /api/widgets/{id}': { path: ById; reply: undefined };
  'POST /api/widgets/{id}/refresh': { path: ById; reply: Widget };
  'GET /api/usage': { query: { days?: number }; reply: Page<UsageDay> };
}
