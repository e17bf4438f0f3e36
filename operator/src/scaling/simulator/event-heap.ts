/**
 * What happens next: callbacks by their time, equal times in the order in which they were added.
 */

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A binary heap. */
export class EventHeap {
  readonly #entries: Entry[] = [];
  #added = 0;

  add(atMs: number, run: () => void): void {
    const entry = { atMs, order: (this.#added += 1), run };
    let index = this.#entries.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfBefore(index, parent)) break;
      index = parent;
    }
  }

  /** Takes the earliest entry out; undefined when there is none. */
  take(): Entry | undefined {
    const [first] = this.#entries;
    const last = this.#entries.pop();
    if (first === undefined || last === undefined || first === last) return first;
    this.#entries[0] = last;
    for (let index = 0; ;) {
      const left = 2 * index + 1;
      const child = this.#isBefore(left + 1, left) ? left + 1 : left;
      if (!this.#swapIfBefore(child, index)) return first;
      index = child;
    }
  }

  #swapIfBefore(child: number, parent: number): boolean {
    if (!this.#isBefore(child, parent)) return false;
    const [below, above] = [this.#entries[child], this.#entries[parent]];
    if (below === undefined || above === undefined) return false;
    this.#entries[parent] = below;
    this.#entries[child] = above;
    return true;
  }

  #isBefore(left: number, right: number): boolean {
    const [one, other] = [this.#entries[left], this.#entries[right]];
    if (one === undefined || other === undefined) return false;
    return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
  }
}
