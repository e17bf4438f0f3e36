/**
 * The building blocks of every kind: names, references, durations, metadata.
 *
 * Promises that every string, list and map is bounded (a cluster refuses unbounded ones once rules run over them) and
 * that an unknown field is an error, not a silent no-op.
 */
import { z } from "zod";

/** The group and version of every kind. */
export const API_VERSION = "memflow.io/v1alpha1";

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/u;
const DURATION = /^([0-9]+(ms|s|m|h))+$/u;

/** A name in a cluster: what a DNS label may be. */
export const resourceName = z
  .string()
  .min(1)
  .max(63)
  .regex(DNS_LABEL, 'must be lower-case letters, digits and "-", and begin and end with a letter or digit');

/** A reference to another resource of the same Kubernetes namespace. */
export const localRef = z.strictObject({
  name: resourceName.describe("Name of the resource, in the same Kubernetes namespace."),
});

/** One key of a Secret or ConfigMap. */
export const keyRef = z.strictObject({
  name: z.string().min(1).max(253).describe("Name of the Secret or ConfigMap."),
  key: z.string().min(1).max(253).describe("Key in it."),
});

/** A duration as a cluster writes it: "250ms", "30s", "1h30m". */
export const duration = z
  .string()
  .max(20)
  .regex(DURATION, 'must be a duration like "250ms", "30s", "5m" or "1h30m"');

/** An integer within bounds; both are part of the kind. */
export function integer(min: number, max: number): z.ZodInt {
  return z.int().min(min).max(max);
}

/** A free text, at least one character long. */
export function text(max: number): z.ZodString {
  return z.string().min(1).max(max);
}

/** The part of Kubernetes' metadata that a manifest writes. */
export function metadataNamed(name: z.ZodString) {
  return z.strictObject({
    name: name.describe("Name, unique for its kind in the Kubernetes namespace."),
    namespace: resourceName.default("default").describe("Kubernetes namespace (default: default)."),
    labels: z.record(z.string().max(317), z.string().max(63)).default({}),
    annotations: z.record(z.string().max(317), z.string().max(65_536)).default({}),
  });
}

const DURATION_UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * Reads a duration of a manifest: the one place where it becomes a number.
 *
 * @param value - Text that the field `duration` accepts.
 * @returns Milliseconds.
 */
export function durationMs(value: string): number {
  let totalMs = 0;
  for (const [, amount, unit] of value.matchAll(/([0-9]+)(ms|s|m|h)/gu)) {
    totalMs += Number(amount) * (DURATION_UNIT_MS[unit ?? ""] ?? 0);
  }
  return totalMs;
}
