import { beforeEach, expect, test } from 'vitest';
import { forgetOldDrafts, readDraft, writeDraft } from './drafts';

beforeEach(() => localStorage.clear());

test('a draft is kept for its user and conversation only', () => {
  writeDraft('u1', 'c1', 'half a thought');
  expect(readDraft('u1', 'c1')).toBe('half a thought');
  expect(readDraft('u1', 'c2')).toBe('');
  expect(readDraft('u2', 'c1')).toBe('');
});

test('an empty draft is forgotten', () => {
  writeDraft('u', 'c', 'x');
  writeDraft('u', 'c', '');
  expect(readDraft('u', 'c')).toBe('');
  expect(localStorage).toHaveLength(0);
});

test('a damaged entry costs the draft and nothing else', () => {
  localStorage.setItem('kira.draft.u.z', '{');
  expect(readDraft('u', 'z')).toBe('');
  writeDraft('u', 'z', 'new');
  expect(readDraft('u', 'z')).toBe('new');
});

test('drafts nobody came back to for a month are forgotten, others stay', () => {
  writeDraft('u', 'fresh', 'x');
  localStorage.setItem('kira.draft.u.old', JSON.stringify({ text: 'y', at: Date.now() - 31 * 86_400_000 }));
  localStorage.setItem('other', 'z');
  forgetOldDrafts();
  expect(Object.keys(localStorage).sort()).toEqual(['kira.draft.u.fresh', 'other']);
});
