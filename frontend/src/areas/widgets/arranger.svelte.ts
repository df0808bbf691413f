// Moving and sizing one widget at a time, by pointer or keys, shown before it is kept.
import { tick } from 'svelte';
import type { Id } from '$/api/types';
import { glide } from '$/ui/glide';
import type { Box } from '$/ui/place';
import { widgets as words } from '$/words/widgets';
import { moved, placeFor, placeUnder, sizeFor, sizePulled, type Size } from './arrange';
import type { Board } from './board.svelte';

interface Held extends Size {
  readonly id: Id;
  /** The places of all cards as they were when it was taken, in the page's own coordinates. */
  readonly boxes: readonly Box[];
  readonly from: number;
  readonly size: Size;
  place: number;
}

const EDGE_PX = 48;
const SCROLL_PX = 12;

export class Arranger {
  held = $state<Held | null>(null);
  /** What the live region says. */
  said = $state('');

  constructor(
    private readonly board: Board,
    private readonly scroller: () => HTMLElement,
  ) {}

  private cards(): HTMLElement[] {
    const all = [...this.scroller().querySelectorAll<HTMLElement>('[data-widget]')];
    const order = this.board.widgets.map((widget) => widget.id);
    return all.sort((a, b) => order.indexOf(a.dataset.widget ?? '') - order.indexOf(b.dataset.widget ?? ''));
  }

  /** The place at which a widget is shown now. */
  placeOf(id: Id): number {
    const order = this.board.widgets.map((widget) => widget.id);
    const { held } = this;
    return (held ? moved(order, held.from, held.place) : order).indexOf(id);
  }

  sizeOf(id: Id, size: Size): Size {
    return this.held?.id === id ? { width: this.held.width, height: this.held.height } : size;
  }

  take(id: Id): void {
    const widget = this.board.find(id);
    if (!widget) return;
    const from = this.board.widgets.indexOf(widget);
    const size = { width: widget.width, height: widget.height };
    const down = this.scroller().scrollTop;
    const boxes = this.cards().map((card) => {
      const { left, top, width, height } = card.getBoundingClientRect();
      return { left, top: top + down, width, height };
    });
    this.held = { id, boxes, from, size, place: from, ...size };
    this.say((title) => words.taken(title, from + 1, this.board.widgets.length));
  }

  /** True when the key meant something to the widget that is held. */
  key(event: KeyboardEvent): boolean {
    const { held } = this;
    if (!held) return false;
    if (event.key === 'Escape') this.putBack();
    else {
      const size = sizeFor(event, held);
      if (size) this.resize(size);
      else if (!event.shiftKey && /^Arrow|^Home$|^End$/.test(event.key)) this.moveTo(this.placeByKey(event.key, held));
      else return false;
    }
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  private placeByKey(key: string, held: Held): number {
    // Where cards are shown now, in the order they are shown.
    const shown = this.cards().sort((a, b) => this.placeOf(a.dataset.widget ?? '') - this.placeOf(b.dataset.widget ?? ''));
    return placeFor(key, shown.map((card) => card.getBoundingClientRect()), held.place);
  }

  private moveTo(place: number): void {
    const { held } = this;
    if (!held || held.place === place) return;
    void glide(this.cards(), () => (held.place = place)).then(() => this.reveal());
    this.say((title) => words.atPlace(title, place + 1, this.board.widgets.length));
  }

  private resize({ width, height }: Size): void {
    const { held } = this;
    if (!held || (held.width === width && held.height === height)) return;
    void glide(this.cards().filter((card) => card.dataset.widget !== held.id), () => Object.assign(held, { width, height }));
    this.say((title) => words.atSize(title, width, height));
  }

  private reveal(): void {
    this.cards().find((card) => card.dataset.widget === this.held?.id)?.scrollIntoView?.({ block: 'nearest' });
  }

  /** Follows a pointer that drags the card; near an edge the page scrolls along. */
  drag(x: number, y: number): void {
    const { held } = this;
    if (!held) return;
    const scroller = this.scroller();
    const view = scroller.getBoundingClientRect();
    if (y < view.top + EDGE_PX) scroller.scrollBy(0, -SCROLL_PX);
    else if (y > view.bottom - EDGE_PX) scroller.scrollBy(0, SCROLL_PX);
    this.moveTo(placeUnder(x, y + scroller.scrollTop, held.boxes, held.place));
  }

  /** Follows a pointer that pulls the corner by `dx`, `dy` px. */
  pull(dx: number, dy: number, cell: Size): void {
    if (this.held) this.resize(sizePulled(this.held.size, dx, dy, cell));
  }

  /** Keeps what is shown; `focus` is asked for the handle again, which moving in the page has let go. */
  async putDown(focus?: () => HTMLElement | undefined): Promise<void> {
    const { held } = this;
    if (!held) return;
    const { id, place, width, height, size } = $state.snapshot(held) as Held;
    this.say((title) => words.putDown(title, place + 1, this.board.widgets.length));
    this.held = null;
    const isSized = size.width !== width || size.height !== height;
    const save = this.board.place(id, place, isSized ? { width, height } : {});
    await tick();
    focus?.()?.focus();
    await save;
  }

  putBack(): void {
    this.say(words.putBack);
    void glide(this.cards(), () => (this.held = null));
  }

  private say(sentence: (title: string) => string): void {
    const title = this.board.find(this.held?.id ?? '')?.title;
    if (title !== undefined) this.said = sentence(title);
  }
}
