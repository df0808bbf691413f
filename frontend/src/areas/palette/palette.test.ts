// The palette and the list of shortcuts, opened and used with keys alone.
import { render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { answerWith, type Asked } from '$/testing/answers';
import { completeBrowser } from '$/testing/browser';
import { shortcuts } from '$/ui/commands.svelte';
import Shortcuts from './Shortcuts.svelte';

let asked: Asked[];
beforeAll(completeBrowser);
beforeEach(() => {
  history.replaceState(null, '', '/');
  shortcuts.allowSingle(true);
  asked = answerWith({
    'GET /api/conversations': () => ({ body: { items: [{ id: 'c1', title: 'Trip to Porto' }], next: null } }),
    'GET /api/search': () => ({ body: { items: [{ conversation_id: 'c2', title: 'Gardening' }], next: null } }),
  });
  render(Shortcuts);
});
const field = (): Promise<HTMLElement> => screen.findByRole('combobox', { name: 'Commands' });

test('Ctrl+K opens it, words find a page, Enter goes there', async () => {
  await userEvent.keyboard('{Control>}k{/Control}');
  await userEvent.type(await field(), 'widg{Enter}');
  await waitFor(() => expect(location.pathname).toBe('/widgets'));
  expect(screen.queryByRole('dialog')).toBeNull();
});
test('it finds conversations by title and by what was said', async () => {
  await userEvent.keyboard('{Control>}k{/Control}');
  await userEvent.type(await field(), 'porto');
  expect(await screen.findByRole('option', { name: 'Trip to Porto' })).toBeVisible();
  expect(await screen.findByRole('option', { name: 'Gardening' })).toBeVisible();
  expect(asked.filter((one) => one.route === 'GET /api/search')).toHaveLength(1);
  await userEvent.keyboard('{ArrowDown}{Enter}');
  await waitFor(() => expect(location.pathname).toBe('/c/c2'));
});
test('g then s goes to the settings, ? lists every shortcut', async () => {
  await userEvent.keyboard('gs');
  expect(location.pathname).toBe('/settings');
  await userEvent.keyboard('?');
  expect(await screen.findByRole('dialog', { name: 'Shortcuts' })).toHaveTextContent('New conversation');
});
test('single letters can be turned off', async () => {
  shortcuts.allowSingle(false);
  await userEvent.keyboard('gs');
  expect(location.pathname).toBe('/');
});
