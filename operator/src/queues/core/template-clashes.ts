/**
 * What a user's pod template must leave to MemFlow: the places where it mounts code and the Store's authority, and the volumes
 * that it mounts there.
 *
 * Merged over ours, such an item would take the code away without a word, or be refused in words that speak of nothing the user
 * wrote. Pure.
 */
import type { TaskQueueSpec } from "@memflow/crds";
import { STORE_CREDENTIALS } from "../../api/store-credentials.ts";
import { isRecord } from "./canonical-json.ts";
import { ARTIFACT_FOLDER, CODE_FOLDER, CODE_VOLUME, STORE_VOLUME, WORKER_CONTAINER } from "./pod-template.ts";

interface Reserved {
  readonly volume: string;
  readonly folder: string;
  readonly holds: string;
}

/** @returns Field, value and remedy of the first clash; undefined when there is none. */
export function findTemplateClash({ source, podTemplate }: TaskQueueSpec["workers"]): string | undefined {
  const spec = podTemplate?.spec;
  if (!isRecord(spec)) return undefined;
  const reserved = reservedBy(source);
  return volumeClash(itemsOf(spec["volumes"]), reserved) ?? mountClash(itemsOf(spec["containers"]), reserved);
}

function reservedBy({ code, artifact }: TaskQueueSpec["workers"]["source"]): readonly Reserved[] {
  const { folder } = STORE_CREDENTIALS;
  const reserved: Reserved[] = [{ volume: STORE_VOLUME, folder, holds: "the Store's authority" }];
  const holds = "the workers' code";
  if (code !== undefined) reserved.push({ volume: CODE_VOLUME, folder: CODE_FOLDER, holds });
  if (artifact !== undefined) reserved.push({ volume: CODE_VOLUME, folder: ARTIFACT_FOLDER, holds });
  return reserved;
}

function volumeClash(volumes: readonly unknown[], reserved: readonly Reserved[]): string | undefined {
  for (const [index, volume] of volumes.entries()) {
    const name = textOf(volume, "name");
    const taken = reserved.find((one) => one.volume === name);
    if (taken === undefined) continue;
    const field = `workers.podTemplate.spec.volumes[${index}].name`;
    return `${field} is "${taken.volume}", the volume with ${taken.holds}: give it another name`;
  }
  return undefined;
}

function mountClash(containers: readonly unknown[], reserved: readonly Reserved[]): string | undefined {
  const index = containers.findIndex((container) => textOf(container, "name") === WORKER_CONTAINER);
  const worker = containers[index];
  if (!isRecord(worker)) return undefined;
  for (const [number, mount] of itemsOf(worker["volumeMounts"]).entries()) {
    const path = textOf(mount, "mountPath");
    if (path === undefined) continue;
    const taken = reserved.find(({ folder }) => isWithin(path, folder) || isWithin(folder, path));
    if (taken === undefined) continue;
    const field = `workers.podTemplate.spec.containers[${index}].volumeMounts[${number}].mountPath`;
    return `${field} is "${path}", which meets "${taken.folder}" with ${taken.holds}: mount it at another path`;
  }
  return undefined;
}

/** Whether a path is a folder, or lies in it. */
function isWithin(path: string, folder: string): boolean {
  const parts = partsOf(path);
  return partsOf(folder).every((part, index) => parts[index] === part);
}

function partsOf(path: string): readonly string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

function textOf(value: unknown, name: string): string | undefined {
  const member = isRecord(value) ? value[name] : undefined;
  return typeof member === "string" ? member : undefined;
}
