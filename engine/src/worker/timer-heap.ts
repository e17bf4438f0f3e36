/**
 * Due times in memory: a binary heap, earliest first.
 *
 * Promises push and pop in O(log n). A due that was taken back stays in the heap until it comes up; the owner of the item
 * says then whether it still stands.
 */

interface Due<Item> {
  readonly dueMs: number;
  readonly item: Item;
}

export class TimerHeap<Item> {
  readonly #heap: Due<Item>[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest due time. */
  get nextMs(): number | undefined {
    return this.#heap[0]?.dueMs;
  }

  push(dueMs: number, item: Item): void {
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
