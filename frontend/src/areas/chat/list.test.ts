import { expect, test } from 'vitest';
import type { Conversation } from '$/api/types';
import { answerWith } from '$/testing/answers';
import { list } from './list.svelte';

const conversation = (id: string, title: string): Conversation => ({
  id, title, created_at: '2026-01-01T00:00:00Z', updated_at: '2026-01-01T00:00:00Z', leaf_id: null, run_id: null,
});

test('an answer that is older than what was done meanwhile is asked for again', async () => {
  const answers = [[conversation('c1', 'New conversation')], [conversation('c1', 'What is a slot?')]];
  const asked = answerWith({
    'GET /api/conversations': () => {
      const items = answers.shift();
      if (answers.length) list.add(conversation('c1', 'What is a slot?'));
      return { body: { items, next: null } };
    },
  });
  await list.refresh();
  expect(asked).toHaveLength(2);
  expect(list.items.map(({ title }) => title)).toEqual(['What is a slot?']);
  expect(list.phase).toBe('ready');
});

test('a title that a model made does not replace one that the user gave', async () => {
  list.items = [conversation('w1', 'What is a slot?'), conversation('w2', 'New conversation')];
  answerWith({ 'PATCH /api/conversations/{id}': () => ({ body: conversation('w1', 'Mine') }) });
  await list.rename('w1', 'Mine');
  list.titled('w1', 'Slots explained');
  list.titled('w2', 'A model’s title');
  expect(list.items.map(({ title }) => title)).toEqual(['Mine', 'A model’s title']);
});

test('after a title was refused, that of a model is shown', async () => {
  list.items = [conversation('w3', 'What is a slot?')];
  answerWith({ 'PATCH /api/conversations/{id}': () => ({ status: 503, body: { error: { code: 'UNAVAILABLE', message: 'Later.' } } }) });
  await expect(list.rename('w3', 'Mine')).rejects.toThrow('Later.');
  list.titled('w3', 'Slots explained');
  expect(list.items[0]?.title).toBe('Slots explained');
});
