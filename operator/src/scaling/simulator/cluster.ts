/**
 * A queue, its pods and their work, as a discrete-event model.
 *
 * A pod takes the oldest waiting task for each of its free slots. Told to go it takes none any more, has a grace period
 * for those in hand, and then leaves them to others, who begin them anew. While the database is away no task begins and
 * none ends. Which pods go is decided as a ReplicaSet does it: those that start, then by deletion cost, then the newest.
 */
import { EventHeap } from "./event-heap.ts";
import type { Arrival, Trace } from "./traces.ts";

/** A pod. */
export interface Pod {
  readonly name: string;
  readonly createdMs: number;
  ready: boolean;
  draining: boolean;
  gone: boolean;
  deletionCost: number;
  /** Until then it takes no task. */
  cordonedUntilMs: number;
  readonly tasks: Set<Task>;
}

interface Task {
  readonly arrival: Arrival;
  waited: boolean;
  startedMs: number;
}

/** What was measured. */
export interface Measured {
  /** Time from arrival to the first start, of each task that started. */
  readonly waitsMs: number[];
  /** Time that pods existed, whether they worked or not. */
  podMs: number;
  /** Changes of the replicas that were asked for. */
  scaleCount: number;
  /** Tasks that were cut off, and the work on them that was lost. */
  interruptedCount: number;
  lostMs: number;
  /** Replicas asked for, at each change. */
  readonly desired: { readonly atMs: number; readonly replicas: number }[];
}

/** How long a pod may finish what it has in hand. */
const GRACE_MS = 60_000;

/** The model; `run` plays a trace in it. */
export class Cluster {
  readonly #events = new EventHeap();
  readonly #trace: Trace;
  readonly #slotsPerPod: number;
  #pods: Pod[] = [];
  #podCount = 0;
  #waiting: Task[] = [];
  #away = false;
  #nowMs = 0;
  #desired = 0;
  /** Told of each arrival. */
  onArrival: () => void = () => {};
  readonly measured: Measured = {
    waitsMs: [],
    podMs: 0,
    scaleCount: 0,
    interruptedCount: 0,
    lostMs: 0,
    desired: [{ atMs: 0, replicas: 0 }],
  };

  constructor(trace: Trace, slotsPerPod: number) {
    this.#trace = trace;
    this.#slotsPerPod = slotsPerPod;
    for (const arrival of trace.arrivals) this.after(arrival.atMs, () => this.#arrive(arrival));
    for (const { fromMs, toMs } of trace.outages) {
      this.after(fromMs, () => {
        this.#away = true;
      });
      this.after(toMs, () => {
        this.#away = false;
        this.#dispatch();
      });
    }
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get desired(): number {
    return this.#desired;
  }

  get databaseAway(): boolean {
    return this.#away;
  }

  get backlog(): number {
    return this.#waiting.length;
  }

  get running(): number {
    return this.#pods.reduce((sum, { tasks }) => sum + tasks.size, 0);
  }

  get oldestAgeMs(): number | null {
    const [oldest] = this.#waiting;
    return oldest === undefined ? null : this.#nowMs - oldest.arrival.atMs;
  }

  /** Until the next arrival, which a store knows of timers alone; null without one. */
  get nextTimerInMs(): number | null {
    if (!this.#trace.timers) return null;
    const next = this.#trace.arrivals.find(({ atMs }) => atMs > this.#nowMs);
    return next === undefined ? null : next.atMs - this.#nowMs;
  }

  /** Pods that exist. */
  get pods(): readonly Pod[] {
    return this.#pods;
  }

  /** Calls back later. */
  after(delayMs: number, run: () => void): void {
    this.#events.add(this.#nowMs + delayMs, run);
  }

  /** Asks for a number of replicas. */
  scale(replicas: number): void {
    if (replicas === this.#desired) return;
    this.#desired = replicas;
    this.measured.scaleCount += 1;
    this.measured.desired.push({ atMs: this.#nowMs, replicas });
    const staying = this.#pods.filter(({ draining }) => !draining);
    for (let count = staying.length; count < replicas; count += 1) this.#create();
    staying
      .toSorted(byDeletion)
      .slice(0, Math.max(0, staying.length - replicas))
      .forEach((pod) => this.#drain(pod));
  }

  /** Cordons these pods for a time. */
  cordon(names: readonly string[], forMs: number): void {
    for (const pod of this.#pods) if (names.includes(pod.name)) pod.cordonedUntilMs = this.#nowMs + forMs;
    if (names.length > 0) this.after(forMs, () => this.#dispatch());
  }

  liftCordons(): void {
    for (const pod of this.#pods) pod.cordonedUntilMs = 0;
    this.#dispatch();
  }

  /** Plays the trace to its end. */
  run(): Measured {
    for (let event = this.#events.take(); event !== undefined; event = this.#events.take()) {
      if (event.atMs > this.#trace.durationMs) break;
      this.measured.podMs += (event.atMs - this.#nowMs) * this.#pods.length;
      this.#nowMs = event.atMs;
      event.run();
    }
    return this.measured;
  }

  #arrive(arrival: Arrival): void {
    this.#waiting.push({ arrival, waited: false, startedMs: 0 });
    this.#dispatch();
    this.onArrival();
  }

  #create(): void {
    this.#podCount += 1;
    const pod: Pod = {
      name: `pod-${this.#podCount}`,
      createdMs: this.#nowMs,
      ready: false,
      draining: false,
      gone: false,
      deletionCost: 0,
      cordonedUntilMs: 0,
      tasks: new Set(),
    };
    this.#pods.push(pod);
    this.after(this.#trace.podStartMs, () => {
      pod.ready = true;
      this.#dispatch();
    });
  }

  #drain(pod: Pod): void {
    pod.draining = true;
    if (pod.tasks.size === 0) this.#remove(pod);
    else this.after(GRACE_MS, () => this.#remove(pod));
  }

  #remove(pod: Pod): void {
    if (pod.gone) return;
    pod.gone = true;
    this.#pods = this.#pods.filter((other) => other !== pod);
    for (const task of pod.tasks) {
      this.measured.interruptedCount += 1;
      this.measured.lostMs += this.#nowMs - task.startedMs;
    }
    this.#waiting.unshift(...pod.tasks);
    pod.tasks.clear();
    this.#dispatch();
  }

  /** Hands waiting tasks out evenly: the pod with the most free slots is the first to ask. */
  #dispatch(): void {
    if (this.#away || this.#waiting.length === 0) return;
    const taking = this.#pods.filter((pod) => this.#takes(pod));
    let taken = 0;
    while (taken < this.#waiting.length) {
      const pod = freest(taking);
      const task = this.#waiting[taken];
      if (pod === undefined || task === undefined || pod.tasks.size >= this.#slotsPerPod) break;
      taken += 1;
      this.#start(task, pod);
    }
    if (taken > 0) this.#waiting = this.#waiting.slice(taken);
  }

  #takes({ ready, draining, cordonedUntilMs }: Pod): boolean {
    return ready && !draining && cordonedUntilMs <= this.#nowMs;
  }

  #start(task: Task, pod: Pod): void {
    if (!task.waited) this.measured.waitsMs.push(this.#nowMs - task.arrival.atMs);
    task.waited = true;
    task.startedMs = this.#nowMs;
    pod.tasks.add(task);
    this.after(task.arrival.serviceMs, () => this.#end(task, pod));
  }

  #end(task: Task, pod: Pod): void {
    if (pod.gone || !pod.tasks.has(task)) return;
    if (this.#away) {
      const outage = this.#trace.outages.find(({ toMs }) => toMs > this.#nowMs);
      this.after((outage?.toMs ?? this.#nowMs) - this.#nowMs, () => this.#end(task, pod));
      return;
    }
    pod.tasks.delete(task);
    if (pod.draining && pod.tasks.size === 0) this.#remove(pod);
    else this.#dispatch();
  }
}

function freest(pods: readonly Pod[]): Pod | undefined {
  let best: Pod | undefined;
  for (const pod of pods) if (best === undefined || pod.tasks.size < best.tasks.size) best = pod;
  return best;
}

function byDeletion(left: Pod, right: Pod): number {
  return (
    Number(left.ready) - Number(right.ready) ||
    left.deletionCost - right.deletionCost ||
    right.createdMs - left.createdMs
  );
}
