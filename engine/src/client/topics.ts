/**
 * Subscriptions to topics: what runs emit, as it is notified.
 *
 * Promises order per run, and each notification to each subscriber at most once. What is emitted while the connection is
 * away is not heard: `onGap` says that there may have been some. The data is read from the event that a notification
 * names, so it may be as large as any payload.
 */
import { int4Array, uuidArray } from "../store/binary-arrays.ts";
import { readTopicReferences } from "../store/topic-reference.ts";
import type { EventReference } from "../store/topic-reference.ts";

/** Gets what is emitted on its topic. */
export type TopicListener = (topic: string, data: unknown) => void;

/** What a subscription is given. */
export interface TopicSubscription {
  readonly topic: string;
  readonly listener: TopicListener;
  /** Called when something may have been missed: the connection was lost, or data could not be read. */
  readonly onGap?: ((error?: unknown) => void) | undefined;
}

/** What it needs of its client. */
export interface TopicsHost {
  channelOf(topic: string): string;
  listen(channel: string): Promise<void>;
  unlisten(channel: string): Promise<void>;
  /** The emitted data of events, decoded, in the order asked for; undefined members are gone with retention. */
  read(topic: string, values: readonly unknown[]): Promise<readonly { readonly data: unknown }[]>;
}

/** Events that are read at once. */
const READ_MAX = 100;

export class Topics {
  readonly #host: TopicsHost;
  readonly #byChannel = new Map<string, Set<TopicSubscription>>();
  /** One notification after the other: a run's events reach subscribers in their order. */
  #tail: Promise<void> = Promise.resolve();

  constructor(host: TopicsHost) {
    this.#host = host;
  }

  /** Begins to listen; settles when what is emitted from now on is heard. */
  async add(subscription: TopicSubscription): Promise<() => Promise<void>> {
    const channel = this.#host.channelOf(subscription.topic);
    const subscriptions = this.#byChannel.get(channel) ?? new Set<TopicSubscription>();
    this.#byChannel.set(channel, subscriptions);
    subscriptions.add(subscription);
    await this.#host.listen(channel);
    return async () => {
      if (!subscriptions.delete(subscription) || subscriptions.size > 0) return;
      this.#byChannel.delete(channel);
      await this.#host.unlisten(channel);
    };
  }

  /** A notification came; false when it is of no topic. */
  notified(channel: string, payload: string): boolean {
    const subscriptions = this.#byChannel.get(channel);
    if (subscriptions === undefined) return false;
    const references = readTopicReferences(payload);
    this.#tail = this.#tail.then(() => this.#deliver(subscriptions, references));
    return true;
  }

  /** The connection was away. */
  gap(error?: unknown): void {
    for (const subscriptions of this.#byChannel.values()) tellGap(subscriptions, error);
  }

  async #deliver(
    subscriptions: ReadonlySet<TopicSubscription>,
    references: readonly EventReference[],
  ): Promise<void> {
    const [first] = subscriptions;
    if (first === undefined) return;
    try {
      for (let start = 0; start < references.length; start += READ_MAX) {
        const page = references.slice(start, start + READ_MAX);
        const values = [
          uuidArray(page.map(({ runId }) => runId)),
          int4Array(page.map(({ eventNo }) => eventNo)),
        ];
        for (const { data } of await this.#host.read(first.topic, values)) hand(subscriptions, data);
      }
    } catch (error) {
      tellGap(subscriptions, error);
    }
  }
}

/** Each call in a microtask of its own: what a listener throws is its owner's, and stops no other. */
function hand(subscriptions: ReadonlySet<TopicSubscription>, data: unknown): void {
  for (const { topic, listener } of subscriptions) queueMicrotask(() => listener(topic, data));
}

function tellGap(subscriptions: ReadonlySet<TopicSubscription>, error: unknown): void {
  for (const { onGap } of subscriptions) if (onGap !== undefined) queueMicrotask(() => onGap(error));
}
