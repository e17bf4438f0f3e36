/**
 * Writes the part of a status that one field manager owns, and only when it says something new.
 *
 * Promises: fields and conditions of other managers stay as they are; what the manager no longer says is removed; an equal
 * status costs no request; the status of an object that was deleted and made anew is not touched.
 */
import { isDeepStrictEqual } from "node:util";
import type { Condition } from "@memflow/crds";
import { ConflictError, NotFoundError } from "../kube/index.ts";
import type { KubeClient, ResourceType } from "../kube/index.ts";
import type { CustomObject } from "./kinds.ts";

/** A status as far as conditions go. */
export interface StatusPart {
  readonly conditions?: readonly Condition[] | undefined;
}

/** What to write. */
export interface StatusWrite<Status extends StatusPart> {
  readonly client: KubeClient;
  readonly type: ResourceType<CustomObject<Status>>;
  /** As it was read; the newest that the caller has. */
  readonly object: CustomObject<Status>;
  /** All that the manager says. */
  readonly status: Readonly<Partial<Status>>;
  /** Members of the status that the manager owns besides its conditions, said now or not. */
  readonly ownedFields: readonly (keyof Status & string)[];
  /** Types of conditions that the manager owns, claimed now or not. */
  readonly ownedConditions: readonly string[];
  readonly fieldManager: string;
  readonly signal?: AbortSignal;
}

/**
 * Writes the status where it differs.
 *
 * @returns The object as it is now when a request was made that took effect; undefined also when the object is gone, or another
 *   one has its name.
 */
export async function applyStatus<Status extends StatusPart>(
  write: StatusWrite<Status>,
): Promise<CustomObject<Status> | undefined> {
  if (isUpToDate(write)) return undefined;
  const { client, type, object, status, fieldManager, signal } = write;
  const { name, namespace, uid } = object.metadata ?? {};
  try {
    return await client.apply(
      type,
      {
        metadata: { name, namespace, uid },
        status: JSON.parse(JSON.stringify(status)) as Status,
      } as CustomObject<Status>,
      { fieldManager, subresource: "status", signal },
    );
  } catch (error) {
    // The uid in the body is a precondition: another object of the same name is refused.
    if (error instanceof NotFoundError || error instanceof ConflictError) return undefined;
    throw error;
  }
}

function isUpToDate<Status extends StatusPart>({
  object,
  status,
  ownedFields,
  ownedConditions,
}: StatusWrite<Status>): boolean {
  const stored = object.status;
  const fieldsStand = ownedFields.every((field) =>
    isDeepStrictEqual(plain(stored?.[field]), plain(status[field])),
  );
  const ours = (conditions: readonly Condition[] | undefined): unknown =>
    plain(
      (conditions ?? [])
        .filter(({ type }) => ownedConditions.includes(type))
        .toSorted((left, right) => left.type.localeCompare(right.type)),
    );
  return fieldsStand && isDeepStrictEqual(ours(stored?.conditions), ours(status.conditions));
}

/** As JSON carries it: members that are undefined are not there. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);
}
