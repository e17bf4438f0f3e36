/** A kind made up for tests: any spec, any status. */
import { namespaced } from "../kube/resource-type.ts";
import type { ResourceType } from "../kube/resource-type.ts";
import type { KubeObject } from "../kube/wire.ts";

/** An object of the kind. */
export interface Widget extends KubeObject {
  readonly spec?: { readonly size?: number; readonly replicas?: number; readonly color?: string };
  readonly status?: { readonly ready?: number; readonly replicas?: number };
}

export const WIDGETS: ResourceType<Widget> = namespaced("test.memflow.io/v1", "Widget", "widgets");

/** A widget of the namespace `default`. */
export function widget(
  name: string,
  rest: Omit<Widget, "metadata"> & { labels?: Record<string, string> } = {},
): Widget {
  const { labels, ...parts } = rest;
  return { ...parts, metadata: { name, namespace: "default", ...(labels ? { labels } : {}) } };
}
