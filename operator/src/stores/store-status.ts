/**
 * What the status of a Store says, from what was found.
 *
 * Promises: what a server that is away once said of itself stays, above all the hash of the credentials, whose change rolls
 * pods; a status that says nothing new is the one before, to the last field. Pure.
 */
import type { StoreStatus } from "@memflow/crds";
import { conditionsOf } from "../api/index.ts";
import { AUDIENCES, credentialsSecretName } from "./core/store-observation.ts";
import type { StorePlan } from "./core/plan-store.ts";
import { versionText } from "./core/version-text.ts";
import type { StoredStore, StoreLook } from "./store-life.ts";

/** Members that this controller writes. */
export const STATUS_FIELDS: readonly (keyof StoreStatus)[] = [
  "observedGeneration",
  "schemaVersion",
  "targetVersion",
  "serverVersion",
  "pooler",
  "credentialsHash",
  "workerSecret",
  "gatewaySecret",
  "connections",
  "lastCheckTime",
];

const POOLERS = { none: "None", session: "Session", transaction: "Transaction" } as const;
const SERVER_VERSION_CHARACTERS_MAX = 64;
/** A number of connections that moves by less is no news. */
const USED_STEP_COUNT = 5;
const USED_STEP_SHARE = 0.1;

/** Makes the status; `lastCheckTime` is of the last one that differs in anything else. */
export function storeStatus(
  store: StoredStore,
  { observation, reached, workersHash }: StoreLook,
  plan: StorePlan,
  now: string,
): StoreStatus {
  const previous = store.status;
  const { generation } = store.metadata;
  const { schema, targetVersion } = observation;
  const [worker, gateway] = AUDIENCES.map((audience) => ({
    name: credentialsSecretName(store.metadata.name, audience),
  }));
  const credentialsHash = workersHash ?? previous?.credentialsHash;
  const said: StoreStatus = {
    ...kept(previous),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    targetVersion: versionText(targetVersion),
    ...(schema === undefined || !schema.exists || schema.denial !== undefined
      ? {}
      : { schemaVersion: versionText(schema.version) }),
    ...(reached === undefined
      ? {}
      : {
          serverVersion: reached.answer.serverVersion.slice(0, SERVER_VERSION_CHARACTERS_MAX),
          pooler: POOLERS[reached.link.facts.pooled],
          connections: damped(previous?.connections, reached.answer.connections),
        }),
    ...(credentialsHash === undefined
      ? {}
      : { credentialsHash, workerSecret: worker, gatewaySecret: gateway }),
    conditions: conditionsOf(plan.claims, previous?.conditions, { generation, now }),
  };
  return said;
}

function kept(previous: StoreStatus | undefined): Partial<StoreStatus> {
  if (previous === undefined) return {};
  const { conditions: _conditions, ...fields } = previous;
  return fields;
}

type Connections = NonNullable<StoreStatus["connections"]>;

function damped(previous: Connections | undefined, found: Connections): Connections {
  if (previous === undefined || previous.max !== found.max) return found;
  const step = Math.max(USED_STEP_COUNT, found.max * USED_STEP_SHARE);
  return Math.abs(previous.used - found.used) < step ? previous : found;
}
