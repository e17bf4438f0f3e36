/** Names of conditions and reasons of a Store, as its kind documents them. */
import type { ConditionReason, ConditionType, STORE_CONDITIONS } from "@memflow/crds";

export type StoreConditionType = ConditionType<typeof STORE_CONDITIONS>;
export type ClaimReason<Type extends StoreConditionType> = ConditionReason<typeof STORE_CONDITIONS, Type>;
