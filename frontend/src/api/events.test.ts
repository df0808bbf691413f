import { expect, test } from 'vitest';
import { EventParser } from './events';

test('events are found wherever the stream was cut', () => {
  const stream = 'id: 1\nevent: delta\ndata: {"text":"a b"}\n\n: ping\n\nid: 2\nevent: idle\ndata: {}\n\n';
  const whole = [
    { id: '1', kind: 'delta', data: { text: 'a b' } },
    { id: '2', kind: 'idle', data: {} },
  ];
  for (let at = 0; at <= stream.length; at++) {
    const parser = new EventParser();
    expect([...parser.push(stream.slice(0, at)), ...parser.push(stream.slice(at))]).toEqual(whole);
  }
});

test('a part of an event is no event', () => {
  expect(new EventParser().push('id: 1\nevent: delta\ndata: {"text":"a"}\n')).toEqual([]);
});
