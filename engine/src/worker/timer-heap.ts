/**
 * Due times in memory: a binary heap, earliest first.
 *
 * Promises push and pop in O(log n), and to let go of what was taken back: the owner says which items still stand, and
 * those that do not are never more than the others, but for a thousand. Until then they come up like the others.
 */

interface Due<Item> {
  readonly dueMs: number;
  readonly item: Item;
}

/** Below this many items it is not worth the time to look for those that no longer stand. */
const SIZE_MIN = 1_000;

export class TimerHeap<Item> {
  readonly #stands: (item: Item) => boolean;
  #heap: Due<Item>[] = [];
  #sizeMax = SIZE_MIN;

  /** `stands` says whether an item still has to come up (default: all do). */
  constructor(stands: (item: Item) => boolean = () => true) {
    this.#stands = stands;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest due time. */
  get nextMs(): number | undefined {
    return this.#heap[0]?.dueMs;
  }

  push(dueMs: number, item: Item): void {
    if (this.#heap.length >= this.#sizeMax) this.#letGo();
    const heap = this.#heap;
    const due: Due<Item> = { dueMs, item };
    let index = heap.length;
    heap.push(due);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.dueMs <= dueMs) break;
      heap[index] = above;
      heap[parent] = due;
      index = parent;
    }
  }

  /** Takes the earliest item that is due at `nowMs`. */
  pop(nowMs: number): Item | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.dueMs > nowMs) return undefined;
    const last = heap.pop();
    if (last !== undefined && last !== first) {
      heap[0] = last;
      this.#sink(last);
    }
    return first.item;
  }

  /** Sorted is a heap too; each item is looked at once for each time that the heap doubles. */
  #letGo(): void {
    this.#heap = this.#heap.filter(({ item }) => this.#stands(item)).sort((a, b) => a.dueMs - b.dueMs);
    this.#sizeMax = Math.max(SIZE_MIN, 2 * this.#heap.length);
  }

  #sink(due: Due<Item>): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let smallest = left;
      if ((heap[right]?.dueMs ?? Infinity) < (heap[left]?.dueMs ?? Infinity)) smallest = right;
      const below = heap[smallest];
      if (below === undefined || below.dueMs >= due.dueMs) return;
      heap[index] = below;
      heap[smallest] = due;
      index = smallest;
    }
  }
}
