// The records of Kira's API, from the generated schema, and the routes as the dashboard calls them.
import type { components } from './schema';

type Schemas = components['schemas'];

export type Id = string;
/** RFC 3339, UTC. */
export type Moment = string;

export interface Page<Item> {
  items: Item[];
  next: string | null;
}

export type User = Schemas['UserShown'];
export type SignedIn = Schemas['SignedInShown'];
export type AuthOptions = Schemas['OptionsShown'];
export type Session = Schemas['SessionShown'];
export type Settings = Schemas['SettingsShown'];
export type Conversation = Schemas['ConversationShown'];
export type Usage = Schemas['UsageShown'];
export type Message = Schemas['MessageShown'];
export type RunError = Schemas['FailureShown'];
export type Run = Schemas['RunShown'];
export type SearchHit = Schemas['HitShown'];
export type Model = Schemas['ModelShown'];
export type ModelServer = Schemas['ServerShown'];
export type Models = Schemas['ModelsShown'];
export type Widget = Schemas['WidgetShown'];
export type WidgetKind = Widget['kind'];
export type UsageDay = Schemas['DayUsageShown'];

export interface MessagePage extends Page<Message> {
  runs: Run[];
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
