/**
 * Conditions of a status: what a reconciler claims now, merged with when it began to hold.
 *
 * @see https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md
 */
import { CONDITION_MESSAGE_MAX } from "@memflow/crds";
import type { Condition, ConditionCatalog, ConditionReason, ConditionType } from "@memflow/crds";

/** A condition as a reconciler claims it. */
export interface Claim<Type extends string = string, Reason extends string = string> {
  readonly type: Type;
  readonly status: Condition["status"];
  readonly reason: Reason;
  readonly message: string;
}

/** The claims that a catalog documents: no other type or reason can be written. */
export type ClaimOf<Catalog extends ConditionCatalog> = {
  [Type in ConditionType<Catalog>]: Claim<Type, ConditionReason<Catalog, Type>>;
}[ConditionType<Catalog>];

/**
 * Makes conditions of claims.
 *
 * @param claims - One of each type; the order stays.
 * @param previous - The conditions of the status as it was read, of any writer.
 * @param options - The generation of the spec that the claims speak of, and the time as text.
 * @returns The transition time of a condition whose status did not change stays.
 */
export function conditionsOf(
  claims: readonly Claim[],
  previous: readonly Condition[] | undefined,
  { generation, now }: { readonly generation: number | undefined; readonly now: string },
): Condition[] {
  return claims.map(({ type, status, reason, message }) => {
    const before = previous?.find((condition) => condition.type === type);
    return {
      type,
      status,
      reason,
      message: message.slice(0, CONDITION_MESSAGE_MAX),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : now,
    };
  });
}

/** The condition of a type; undefined when nobody has claimed it yet. */
export function findCondition(
  status: { readonly conditions?: readonly Condition[] | undefined } | undefined,
  type: string,
): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** Whether a condition holds for the spec as it stands: one that speaks of an older generation does not. */
export function holds(
  object: {
    readonly metadata?: { readonly generation?: number | undefined } | undefined;
    readonly status?: { readonly conditions?: readonly Condition[] | undefined } | undefined;
  },
  type: string,
): boolean {
  const condition = findCondition(object.status, type);
  const generation = object.metadata?.generation ?? 0;
  return condition?.status === "True" && (condition.observedGeneration ?? generation) >= generation;
}
