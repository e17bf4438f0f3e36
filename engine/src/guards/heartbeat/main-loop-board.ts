/**
 * What the main thread shows to the heartbeat thread, in memory that both share: that its loop turns, and whose user
 * code it is executing.
 *
 * Promises that writing costs a few stores and that a reader never sees half of one owner and half of another. Does not
 * know the owner of code that was reached by an await: `whose` of the heartbeat does.
 */

/** Whose user code executes. */
export interface CodeOwner {
  readonly kind: "run" | "activity";
  /** The run's id, also for an activity. */
  readonly id: string;
  /** The activity's command; 0 for a run. */
  readonly position: number;
}

const SLOT = { turn: 0, debugged: 1, version: 2, kind: 3, position: 4, id: 5 } as const;
const ID_WORDS = 4;
const BOARD_BYTES = (SLOT.id + ID_WORDS) * Int32Array.BYTES_PER_ELEMENT;

const KINDS = ["none", "run", "activity"] as const;
const HEX_DIGITS_PER_WORD = 8;

export class MainLoopBoard {
  readonly buffer: SharedArrayBuffer;
  readonly #slots: Int32Array;

  /** @param buffer - The other thread's board; a new one when left out. */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BOARD_BYTES)) {
    this.buffer = buffer;
    this.#slots = new Int32Array(buffer);
  }

  /** Main thread: the loop has turned. A debugger may stop it for as long as a person needs. */
  turn(debugged: boolean): void {
    Atomics.store(this.#slots, SLOT.debugged, debugged ? 1 : 0);
    Atomics.add(this.#slots, SLOT.turn, 1);
  }

  /** Main thread: user code of this owner executes from now on, until `leave`. */
  enter(owner: CodeOwner): void {
    this.#write(KINDS.indexOf(owner.kind), owner);
  }

  /** Main thread: no user code executes. */
  leave(): void {
    this.#write(0, undefined);
  }

  /** Changes whenever the main loop turns. */
  get turnCount(): number {
    return Atomics.load(this.#slots, SLOT.turn);
  }

  /** Whether a debugger could be holding the main thread. */
  get debugged(): boolean {
    return Atomics.load(this.#slots, SLOT.debugged) === 1;
  }

  /** The owner shown now; undefined when there is none, or when it is just being written. */
  get owner(): CodeOwner | undefined {
    const version = Atomics.load(this.#slots, SLOT.version);
    const kind = KINDS[Atomics.load(this.#slots, SLOT.kind)] ?? "none";
    const position = Atomics.load(this.#slots, SLOT.position);
    const id = this.#readId();
    // Odd while it is written, and another number afterwards.
    if (version % 2 !== 0 || Atomics.load(this.#slots, SLOT.version) !== version) return undefined;
    return kind === "none" ? undefined : { kind, id, position };
  }

  #write(kind: number, owner: CodeOwner | undefined): void {
    const slots = this.#slots;
    Atomics.add(slots, SLOT.version, 1);
    slots[SLOT.kind] = kind;
    slots[SLOT.position] = owner?.position ?? 0;
    if (owner !== undefined) this.#writeId(owner.id);
    Atomics.add(slots, SLOT.version, 1);
  }

  #writeId(id: string): void {
    let word = 0;
    let digits = 0;
    for (let index = 0; index < id.length; index += 1) {
      const digit = hexDigit(id.charCodeAt(index));
      if (digit === undefined) continue;
      word = (word << 4) | digit;
      digits += 1;
      if (digits % HEX_DIGITS_PER_WORD === 0) {
        this.#slots[SLOT.id + digits / HEX_DIGITS_PER_WORD - 1] = word;
        if (digits === ID_WORDS * HEX_DIGITS_PER_WORD) return;
      }
    }
  }

  #readId(): string {
    const words = Array.from(
      { length: ID_WORDS },
      (_, word) => Atomics.load(this.#slots, SLOT.id + word) >>> 0,
    );
    const hex = words.map((word) => word.toString(16).padStart(HEX_DIGITS_PER_WORD, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }
}

/** The value of a hexadecimal digit's character code; undefined for the hyphens of a uuid. */
function hexDigit(code: number): number | undefined {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : undefined;
}
