// The Settings page: what applies at once, what waits to be saved, what is said when it does not work.
import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { session } from '$/session.svelte';
import { answerWith, type Asked } from '$/testing/answers';
import { completeBrowser } from '$/testing/browser';
import SettingsPage from './SettingsPage.svelte';

const seen = '2026-11-24T00:00:00Z';
const stored = { model: null, system_prompt: 'Be brief.', theme: 'system' };
let asked: Asked[];
let refused: boolean;
let held: Promise<void> | undefined;
const sent = (route: string): unknown[] => asked.filter((one) => one.route === route).map((one) => one.body);

beforeAll(completeBrowser);
beforeEach(() => {
  refused = false;
  held = undefined;
  session.user = { id: 'u1', email: 'sam@example.org', name: 'Sam', role: 'user', created_at: seen };
  const error = { error: { code: 'INVALID', message: 'Too long.' } };
  const device = (id: string, name: string, current: boolean) => ({ id, device: name, created_at: seen, seen_at: seen, current });
  asked = answerWith({
    'GET /api/settings': async () => (await held, { body: stored }),
    'PATCH /api/settings': async ({ body }) => (await held, refused ? { status: 422, body: error } : { body: { ...stored, ...(body as object) } }),
    'GET /api/models': () => ({ body: { items: [{ name: 'demo', label: 'Demo', context: null, size: null, loaded: true, demo: true }], default: 'demo', servers: [{ name: 'here', state: 'empty', message: 'It has no model.' }], advice: 'Pull a model.' } }),
    'GET /api/auth/options': () => ({ body: { accounts: 'open', sign_up: true, version: '1.2.3' } }),
    'GET /api/auth/sessions': () => ({ body: { items: [device('w1', 'Phone', false), device('w2', 'Desk', true)], next: null } }),
    'DELETE /api/auth/sessions/{id}': () => ({ status: 204 }),
    'POST /api/auth/password': () => ({
      status: 422,
      body: { error: { code: 'INVALID', message: 'No.', fields: [{ path: 'current', message: 'This is not your current password.' }] } },
    }),
  });
});
/** Keeps answers about settings back from now on; returns how to let them go. */
function hold(): () => void {
  let release = (): void => undefined;
  held = new Promise((resolve) => (release = resolve));
  return () => release();
}
const section = async (name: string): Promise<ReturnType<typeof within>> => within(await screen.findByRole('region', { name }));
const prompt = (): Promise<HTMLElement> => screen.findByRole('textbox', { name: 'System prompt' });

test('a theme applies at once and is kept', async () => {
  render(SettingsPage);
  await userEvent.click(await screen.findByRole('radio', { name: 'Dark' }));
  expect(document.documentElement.dataset.theme).toBe('dark');
  await waitFor(() => expect(sent('PATCH /api/settings')).toEqual([{ theme: 'dark' }]));
});

test('an answer to what was asked before a choice does not undo it', async () => {
  render(SettingsPage);
  const dark = await screen.findByRole('radio', { name: 'Dark' });
  const release = hold();
  document.dispatchEvent(new Event('visibilitychange'));
  await waitFor(() => expect(asked.filter((one) => one.route === 'GET /api/settings')).toHaveLength(2));
  held = undefined;
  await userEvent.click(dark);
  release();
  await waitFor(() => expect(sent('PATCH /api/settings')).toEqual([{ theme: 'dark' }]));
  await new Promise((done) => setTimeout(done));
  expect(dark).toBeChecked();
  expect(document.documentElement.dataset.theme).toBe('dark');
});

test('of choices made while one is saved the last is saved too', async () => {
  render(SettingsPage);
  const dark = await screen.findByRole('radio', { name: 'Dark' });
  const release = hold();
  await userEvent.click(dark);
  await userEvent.click(screen.getByRole('radio', { name: 'System' }));
  await userEvent.click(screen.getByRole('radio', { name: 'Light' }));
  release();
  await waitFor(() => expect(sent('PATCH /api/settings')).toEqual([{ theme: 'dark' }, { theme: 'light' }]));
  expect(screen.getByRole('radio', { name: 'Light' })).toBeChecked();
});

test('an unsaved system prompt survives leaving the page and a refusal, and is saved when asked to', async () => {
  refused = true;
  const { unmount } = render(SettingsPage);
  await userEvent.type(await prompt(), ' In verse.');
  expect(sent('PATCH /api/settings')).toEqual([]);
  unmount();
  render(SettingsPage);
  expect(await prompt()).toHaveValue('Be brief. In verse.');
  const part = await section('System prompt');
  await userEvent.click(part.getByRole('button', { name: 'Save' }));
  expect(await part.findByText(/Not saved\. Too long\./)).toBeVisible();
  expect(await prompt()).toHaveValue('Be brief. In verse.');
  refused = false;
  await userEvent.click(part.getByRole('button', { name: 'Save' }));
  expect(await part.findByText('Saved.')).toBeVisible();
  expect(localStorage.getItem('kira.prompt.u1')).toBeNull();
});

test('the default model is chosen by keyboard; advice says what to do', async () => {
  render(SettingsPage);
  const field = await screen.findByRole('combobox', { name: 'Default model' });
  await userEvent.click(field);
  await userEvent.keyboard('dem{Enter}');
  await waitFor(() => expect(sent('PATCH /api/settings')).toEqual([{ model: 'demo' }]));
  expect(screen.getByText('Pull a model.')).toBeVisible();
  expect(screen.queryByText('It has no model.')).toBeNull();
});

test('this session is marked, another one can be ended', async () => {
  render(SettingsPage);
  const part = await section('Sessions');
  expect(within((await part.findByText('Desk')).closest('li') as HTMLElement).getByText('This one')).toBeVisible();
  await userEvent.click(part.getByRole('button', { name: 'Sign out Phone' }));
  expect(await part.findByText('Phone was signed out.')).toBeVisible();
  expect(sent('DELETE /api/auth/sessions/{id}')).toHaveLength(1);
  expect(part.queryByRole('button', { name: 'Sign out Phone' })).toBeNull();
});

test('a wrong current password is said at its field', async () => {
  render(SettingsPage);
  await userEvent.type(await screen.findByLabelText('Current password'), 'wrong');
  await userEvent.type(screen.getByLabelText('New password'), 'long enough{Enter}');
  expect(await screen.findByText('This is not your current password.')).toBeVisible();
  expect(screen.getByLabelText('Current password')).toHaveAttribute('aria-invalid', 'true');
});
