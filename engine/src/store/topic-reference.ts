/**
 * What a notification of a topic says: which recorded event holds the data.
 */

/** An event by its run and number. */
export interface EventReference {
  readonly runId: string;
  readonly eventNo: number;
}

/** The event as one id of a notification. */
export function topicReference({ runId, eventNo }: EventReference): string {
  return `${runId}/${eventNo}`;
}

/** The events that a notification names; what is none is left out, for anyone may notify. */
export function readTopicReferences(payload: string): readonly EventReference[] {
  return payload.split(",").flatMap((id) => {
    const match = REFERENCE.exec(id);
    return match === null ? [] : [{ runId: match[1] ?? "", eventNo: Number(match[2]) }];
  });
}

const REFERENCE = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/([1-9][0-9]{0,8})$/u;
