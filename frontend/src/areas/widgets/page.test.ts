// The Widgets page by keyboard: taking, moving, sizing, putting back; titles and notes.
import { render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { Widget, WidgetKind } from '$/api/types';
import { answerWith, type Asked } from '$/testing/answers';
import { completeBrowser } from '$/testing/browser';
import WidgetsPage from './WidgetsPage.svelte';

const widget = (id: string, kind: WidgetKind, title: string): Widget => ({
  id, kind, title, settings: {}, position: 0, width: 1, height: 1, content: {}, refreshed_at: null, created_at: '2026-11-24T00:00:00Z',
});
let asked: Asked[];
const changes = (): unknown[] => asked.filter((one) => one.route.startsWith('PATCH')).map((one) => one.body);

beforeAll(completeBrowser);
beforeEach(() => {
  const items = [widget('w1', 'clock', 'Here'), widget('w2', 'note', 'List'), widget('w3', 'clock', 'Tokyo')];
  asked = answerWith({
    'GET /api/widgets': () => ({ body: { items, next: null } }),
    'PATCH /api/widgets/{id}': ({ body }) => ({ body: { ...items[0], ...(body as object) } }),
  });
});
const handle = (title: string): Promise<HTMLElement> => screen.findByRole('button', { name: `Move or resize ${title}` });

test('a widget is moved, sized and put down with keys, and every step is said', async () => {
  render(WidgetsPage);
  const grip = await handle('Here');
  grip.focus();
  await userEvent.keyboard('{Enter}');
  expect(grip).toHaveAttribute('aria-pressed', 'true');
  await userEvent.keyboard('{ArrowRight}');
  expect(screen.getByText('Here, place 2 of 3.')).toBeInTheDocument();
  await userEvent.keyboard('{Shift>}{ArrowRight}{/Shift}');
  expect(screen.getByText('Here, 2 wide, 1 high.')).toBeInTheDocument();
  expect(changes()).toEqual([]);
  await userEvent.keyboard('{Enter}');
  await waitFor(() => expect(changes()).toEqual([{ width: 2, height: 1, position: 1 }]));
  expect(await handle('Here')).toHaveFocus();
});

test('Escape puts it back and nothing is kept', async () => {
  render(WidgetsPage);
  const grip = await handle('Here');
  grip.focus();
  await userEvent.keyboard('{Enter}{ArrowRight}{+}{Escape}');
  expect(grip).toHaveAttribute('aria-pressed', 'false');
  expect(screen.getByText('Here put back.')).toBeInTheDocument();
  expect(changes()).toEqual([]);
});

test('a note saves itself, and its text waits on this device until then', async () => {
  render(WidgetsPage);
  const text = await screen.findByRole('textbox', { name: 'Text of List' });
  await userEvent.type(text, 'milk');
  expect(localStorage.getItem('kira.note.w2')).toBe('milk');
  await waitFor(() => expect(changes()).toEqual([{ settings: { text: 'milk' } }]), { timeout: 3_000 });
  await waitFor(() => expect(localStorage.getItem('kira.note.w2')).toBeNull());
});
