/**
 * Tells users what happened to their objects, as Events of `events.k8s.io/v1`.
 *
 * Promises: recording takes no time and never fails; what repeats becomes a series of one Event, with its count, not many
 * Events; an object that has too much to say is cut short, so that it does not drown the others or the server. It does not
 * promise that each Event arrives: they are for people, conditions are for machines.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
 */
import { randomBytes } from "node:crypto";
import { sleep } from "./clock.ts";
import { AlreadyExistsError, NotFoundError } from "./errors.ts";
import type { KubeClient } from "./kube-client.ts";
import { errorFields } from "./log.ts";
import type { Log } from "./log.ts";
import { microTime } from "./micro-time.ts";
import { EVENTS } from "./resource-type.ts";
import type { KubeEvent } from "./resource-type.ts";
import { TokenBucket } from "./token-bucket.ts";
import { identityOf } from "./wire.ts";
import type { Identity, KubeObject } from "./wire.ts";

/** Something that happened. */
export interface Happening {
  /** To which object, as it was read from the server. */
  readonly regarding: KubeObject;
  readonly type: "Normal" | "Warning";
  /** Why, in one word for machines: `ScaledUp`. */
  readonly reason: string;
  /** What the controller was doing: `Scale`. */
  readonly action: string;
  /** For people; cut after 1,024 characters. */
  readonly note: string;
}

/** How events are recorded. */
export interface EventRecorderOptions {
  readonly client: KubeClient;
  /** Who reports, as in `memflow.io/operator`. */
  readonly controller: string;
  /** Which of its processes. */
  readonly instance: string;
  readonly log: Log;
  /** How often the count of a series is written, at most (default 60,000). */
  readonly seriesMs?: number;
  /** For one object: so many Events at once, and one more after each time (default 25, and 60,000). */
  readonly burst?: { readonly count: number; readonly refillMs: number };
}

const SERIES_MS = 60_000;
const BURST = { count: 25, refillMs: 60_000 } as const;
/** Longer ago, and what happens again is a new Event. */
const SERIES_IDLE_MS = 6 * 60_000;
/** Different happenings, and objects, that are remembered. */
const MEMORY_COUNT_MAX = 4_000;
/** Events that wait to be sent. */
const QUEUE_COUNT_MAX = 1_000;
const NOTE_CHARACTERS_MAX = 1_024;
const NAME_CHARACTERS_MAX = 200;
/** Events of one millisecond are told apart by a number below this. */
const SUFFIX_COUNT = 0x1_0000;

interface Series {
  readonly event: KubeEvent;
  count: number;
  lastMs: number;
  lastTime: string;
  /** How many of the count the server knows. */
  sentCount: number;
  /** It waits in the queue, or for its time. */
  pending: boolean;
}

/** Sends Events in the background. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  /** The least recently used first. */
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #queue: Series[] = [];
  readonly #timers = new Set<() => void>();
  readonly #stopping = new AbortController();
  #sending: Promise<void> | undefined;
  #droppedCount = 0;
  #madeCount = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Happenings that became no Event: too many, or refused. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Records a happening; it is sent soon. */
  record(happening: Happening): void {
    const { clock } = this.#options.client;
    const regarding = identityOf(happening.regarding);
    const note = happening.note.slice(0, NOTE_CHARACTERS_MAX);
    const key = JSON.stringify([regarding.uid, happening.type, happening.reason, happening.action, note]);
    const nowMs = clock.steadyMs();
    const known = this.#series.get(key);
    if (known && nowMs - known.lastMs < SERIES_IDLE_MS) {
      known.count++;
      known.lastMs = nowMs;
      known.lastTime = microTime(clock.wallTime());
      remember(this.#series, key, known);
      this.#enqueueLater(known);
      return;
    }
    const { count, refillMs } = this.#options.burst ?? BURST;
    const bucket = this.#buckets.get(regarding.uid) ?? new TokenBucket(count, refillMs, nowMs);
    remember(this.#buckets, regarding.uid, bucket);
    if (!bucket.take(nowMs)) {
      this.#drop("too many events of one object", { key: regarding.name, reason: happening.reason });
      return;
    }
    const event = this.#makeEvent({ ...happening, note }, regarding);
    const lastTime = microTime(clock.wallTime());
    const series: Series = { event, count: 1, lastMs: nowMs, lastTime, sentCount: 0, pending: true };
    remember(this.#series, key, series);
    this.#enqueue(series);
  }

  /**
   * Sends what waits, counts of series included, and ends.
   *
   * @param graceMs - For so long at most.
   */
  async stop(graceMs: number): Promise<void> {
    const { clock } = this.#options.client;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    for (const series of this.#series.values()) if (series.pending) this.#enqueue(series);
    const stopTimer = clock.after(graceMs, () => this.#stopping.abort(new Error("event recorder: stopped")));
    await this.#sending;
    stopTimer();
    this.#stopping.abort(new Error("event recorder: stopped"));
  }

  #makeEvent(happening: Happening, regarding: Identity): KubeEvent {
    const { controller, instance, client } = this.#options;
    const { name, namespace = "default", uid, resourceVersion } = regarding;
    const { apiVersion = "", kind = "" } = happening.regarding;
    const time = client.clock.wallTime();
    return {
      metadata: { name: `${name.slice(0, NAME_CHARACTERS_MAX)}.${this.#makeSuffix(time)}`, namespace },
      eventTime: microTime(time),
      type: happening.type,
      reason: happening.reason,
      action: happening.action,
      note: happening.note,
      reportingController: controller,
      reportingInstance: instance.slice(0, 128),
      regarding: {
        apiVersion,
        kind,
        name,
        uid,
        resourceVersion,
        ...(regarding.namespace === undefined ? {} : { namespace: regarding.namespace }),
      },
    };
  }

  /** In the order of time: `kubectl describe` lists Events by their names, since it knows no times of this API version. */
  #makeSuffix(time: Date): string {
    this.#madeCount = (this.#madeCount + 1) % SUFFIX_COUNT;
    const count = this.#madeCount.toString(16).padStart(4, "0");
    return `${time.getTime().toString(16).padStart(12, "0")}${count}-${randomBytes(4).toString("hex")}`;
  }

  /** A series is written at most once in its time. */
  #enqueueLater(series: Series): void {
    if (series.pending) return;
    series.pending = true;
    const cancel = this.#options.client.clock.after(this.#options.seriesMs ?? SERIES_MS, () => {
      this.#timers.delete(cancel);
      this.#enqueue(series);
    });
    this.#timers.add(cancel);
  }

  #enqueue(series: Series): void {
    if (this.#stopping.signal.aborted || this.#queue.includes(series)) return;
    if (this.#queue.length >= QUEUE_COUNT_MAX) {
      series.pending = false;
      this.#drop("too many events wait", { reason: series.event.reason });
      return;
    }
    this.#queue.push(series);
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined));
  }

  async #sendAll(): Promise<void> {
    const { signal } = this.#stopping;
    // Once the caller's turn is over, so that recording takes none of its time.
    await sleep(this.#options.client.clock, 0, signal);
    for (let series = this.#queue.shift(); series && !signal.aborted; series = this.#queue.shift()) {
      series.pending = false;
      try {
        await this.#send(series, signal);
      } catch (error) {
        this.#drop("an event was not sent", { reason: series.event.reason, ...errorFields(error) });
      }
    }
  }

  async #send(series: Series, signal: AbortSignal): Promise<void> {
    const { client, controller } = this.#options;
    const { event, count, lastTime: lastObservedTime } = series;
    const options = { fieldManager: controller, signal };
    const counted = count > 1 ? { series: { count, lastObservedTime } } : {};
    const { name = "", namespace } = event.metadata ?? {};
    const create = (): Promise<KubeEvent> => client.create(EVENTS, { ...event, ...counted }, options);
    const updateCount = (): Promise<KubeEvent> =>
      client.patch(EVENTS, { name, namespace }, { kind: "merge", body: counted }, options);
    if (series.sentCount === 0) {
      // It is there already when the answer to an earlier try was lost.
      await create().catch((error: unknown) =>
        error instanceof AlreadyExistsError ? updateCount() : raise(error),
      );
    } else {
      // It is gone when it is old: the server forgets Events after an hour.
      await updateCount().catch((error: unknown) =>
        error instanceof NotFoundError ? create() : raise(error),
      );
    }
    series.sentCount = count;
  }

  #drop(message: string, fields: Readonly<Record<string, unknown>>): void {
    this.#droppedCount++;
    this.#options.log("warn", message, fields);
  }
}

function raise(error: unknown): never {
  throw error;
}

/** Keeps a map in the order of use, and below its limit. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= MEMORY_COUNT_MAX) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
