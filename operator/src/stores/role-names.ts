/** Names of the login roles that the operator makes. */
import { createHash } from "node:crypto";
import { AUDIENCES } from "./core/store-observation.ts";
import type { Audience } from "./core/store-observation.ts";
import type { Slot } from "./core/credential-plan.ts";

/** Which Store: roles belong to a whole server, so the database is part of their names. */
export interface RoleOwner {
  readonly database: string;
  readonly schema: string;
  readonly uid: string;
}

const HASH_DIGITS = 12;
const SLOTS: readonly Slot[] = ["a", "b"];

/** The role: below Postgres' 63 bytes, another one for each database, schema, Store, audience and slot. */
export function roleName({ database, schema, uid }: RoleOwner, audience: Audience, slot: Slot): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([database, schema, uid]))
    .digest("hex");
  return `memflow_${hash.slice(0, HASH_DIGITS)}_${audience}_${slot}`;
}

/** All that a Store may have. */
export function roleNames(owner: RoleOwner): readonly string[] {
  return AUDIENCES.flatMap((audience) => SLOTS.map((slot) => roleName(owner, audience, slot)));
}
