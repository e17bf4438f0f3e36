/**
 * The signals of one run: which wait or hook each of them settles, and which are kept.
 *
 * Promises that signals of one id are handed out in history order, each to one `waitFor`; that an `execHook` takes the
 * first signal of its id that its own hook sends, else the oldest unresolved `execHook` of the id takes one from
 * outside; and that such a signal, when no `waitFor` was pending, is left for one later `waitFor`, the latest only. It
 * knows positions, not promises.
 */

/** A signal as it arrived: its sender when that is a run, and its data as JSON text (null: undefined). */
export interface ArrivedSignal {
  readonly fromRunId: string | null;
  readonly data: string | null;
}

interface KeptSignal extends ArrivedSignal {
  /** Left over by an execHook: a newer one replaces it. */
  readonly leftOver: boolean;
}

interface HookWait {
  readonly position: number;
  readonly hookRunId: string;
}

export class SignalMailbox {
  readonly #kept = new Map<string, KeptSignal[]>();
  readonly #waits = new Map<string, number[]>();
  readonly #hookWaits = new Map<string, HookWait[]>();
  readonly #hooks = new Set<string>();

  /** Takes the next kept signal of an id, or registers the wait and returns undefined. */
  take(signalId: string, position: number): ArrivedSignal | undefined {
    const kept = this.#kept.get(signalId);
    const next = kept?.shift();
    if (next !== undefined) {
      if (kept?.length === 0) this.#kept.delete(signalId);
      return next;
    }
    push(this.#waits, signalId, position);
    return undefined;
  }

  /** Takes back a wait whose time has passed: the next signal is not its. */
  forgetWait(signalId: string, position: number): void {
    remove(this.#waits, signalId, (waiting) => waiting === position);
  }

  /** Registers an execHook that waits for a signal of `signalId`. */
  expectHook(signalId: string, wait: HookWait): void {
    this.#hooks.add(wait.hookRunId);
    push(this.#hookWaits, signalId, wait);
  }

  /** Forgets an execHook that was settled without its signal. */
  forgetHook(signalId: string, position: number): void {
    remove(this.#hookWaits, signalId, (wait) => wait.position === position);
  }

  /** Keeps a signal that nobody who waits now shall get. */
  keep(signalId: string, signal: ArrivedSignal): void {
    this.#keep(signalId, { ...signal, leftOver: false });
  }

  /** A mailbox with the signals alone that nobody took, but for those of `hookRunIds` and what hooks left over. */
  untaken(hookRunIds: ReadonlySet<string>): SignalMailbox {
    const next = new SignalMailbox();
    for (const [signalId, kept] of this.#kept) {
      for (const signal of kept) {
        const answers = signal.leftOver || (signal.fromRunId !== null && hookRunIds.has(signal.fromRunId));
        if (!answers) next.keep(signalId, signal);
      }
    }
    return next;
  }

  /** Takes a signal in and returns the positions that it settles, an execHook before a waitFor. */
  deliver(signalId: string, signal: ArrivedSignal): readonly number[] {
    const settled: number[] = [];
    const fromOwnHook = signal.fromRunId !== null && this.#hooks.has(signal.fromRunId);
    const hookWait = remove(
      this.#hookWaits,
      signalId,
      (wait) => !fromOwnHook || wait.hookRunId === signal.fromRunId,
    );
    if (hookWait !== undefined) settled.push(hookWait.position);
    const wait = remove(this.#waits, signalId, () => true);
    if (wait !== undefined) settled.push(wait);
    else this.#keep(signalId, { ...signal, leftOver: hookWait !== undefined });
    return settled;
  }

  #keep(signalId: string, signal: KeptSignal): void {
    if (signal.leftOver) remove(this.#kept, signalId, (kept) => kept.leftOver);
    push(this.#kept, signalId, signal);
  }
}

function push<Item>(lists: Map<string, Item[]>, key: string, item: Item): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

/** Removes and returns the first item that matches. */
function remove<Item>(
  lists: Map<string, Item[]>,
  key: string,
  matches: (item: Item) => boolean,
): Item | undefined {
  const list = lists.get(key);
  const index = list?.findIndex(matches) ?? -1;
  if (list === undefined || index === -1) return undefined;
  const [item] = list.splice(index, 1);
  if (list.length === 0) lists.delete(key);
  return item;
}
