// The line of state under an answer: always what the run last said, never a guess.
import { chat } from '$/words/chat';
import type { RunView } from '$/runs.svelte';

export interface Status {
  text: string;
  tone: 'busy' | 'waiting' | 'bad' | 'quiet';
  /** Said to screen readers: changes seldom, unlike the text. */
  said: string;
}

/** Seconds after which a step says how long it has been going on. */
const LONG_STEP_S = 3;

function place(run: RunView): string {
  const position = run.position === null ? chat.queued : run.position <= 1 ? chat.next : chat.place(run.position);
  const wait = run.waitS ? chat.about(Math.max(1, run.waitS)) : '';
  return [position, wait, run.reason ?? ''].filter(Boolean).join(', ');
}

function step(run: RunView, now: number): string {
  const text = run.tool ? chat.calling(run.tool) : (run.reason ?? (run.thinking ? chat.thinkingNow : chat.reading));
  const elapsed = Math.floor((now - run.since) / 1000);
  return elapsed >= LONG_STEP_S ? chat.with(text, elapsed) : text;
}

/** What to show for `run` at `now` (milliseconds); `stopping` once the user asked to stop. */
export function statusOf(run: RunView, now: number, stopping = false): Status {
  if (run.state === 'failed') {
    const text = chat.failed(run.error?.message ?? chat.unknown);
    return { text, tone: 'bad', said: text };
  }
  if (run.state === 'cancelled') return { text: chat.stopped, tone: 'quiet', said: chat.stopped };
  if (run.state === 'done') return { text: chat.finishing, tone: 'quiet', said: '' };
  if (stopping) return { text: chat.stopping, tone: 'busy', said: chat.stopping };
  if (run.state === 'queued') return { text: place(run), tone: 'waiting', said: place(run) };
  if (run.text && !run.tool) {
    const text = run.rate === null ? chat.writing : chat.writingAt(run.rate);
    return { text, tone: 'busy', said: chat.writing };
  }
  return { text: step(run, now), tone: 'busy', said: run.reason ?? chat.reading };
}
