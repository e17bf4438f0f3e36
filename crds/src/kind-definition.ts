/** All that is said of a kind in one place; the definition for a cluster, the types and the reference page come from it. */
import type { z } from "zod";
import type { ConditionCatalog } from "./conditions.ts";

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "date" | "boolean";
  readonly jsonPath: string;
  readonly description: string;
  /** True for a column of `-o wide` alone. */
  readonly isWide?: boolean;
}

/** Where `kubectl scale` and an autoscaler read and write. */
export interface ScaleSubresource {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath: string;
}

/** A kind of the group. */
export interface KindDefinition {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  /** What it stands for, in a sentence or two. */
  readonly description: string;
  /** The whole resource; its rules are those of the root. */
  readonly schema: z.ZodType;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  readonly printerColumns: readonly PrinterColumn[];
  readonly scale?: ScaleSubresource;
  readonly conditions: ConditionCatalog;
  /** Reasons of the Events on an object of the kind, each with what happened. */
  readonly events: Readonly<Record<string, string>>;
  /** Annotations that MemFlow reads, each with what it does. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** The column that says whether all is well. */
export const READY_COLUMN: PrinterColumn = {
  name: "Ready",
  type: "string",
  jsonPath: `.status.conditions[?(@.type=="Ready")].status`,
  description: "Whether all is well.",
};

/** The column that says how old the resource is. */
export const AGE_COLUMN: PrinterColumn = {
  name: "Age",
  type: "date",
  jsonPath: ".metadata.creationTimestamp",
  description: "When it was made.",
};

/** The column that says what is wrong, or that nothing is. */
export const MESSAGE_COLUMN: PrinterColumn = {
  name: "Message",
  type: "string",
  jsonPath: `.status.conditions[?(@.type=="Ready")].message`,
  description: "Why it is ready or not.",
  isWide: true,
};
