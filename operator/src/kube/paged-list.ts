/**
 * A whole list, read in pages.
 *
 * Promises all objects of one moment. When the server forgot that moment between two pages, the list is read once more in
 * one piece, as a list so large that its pages outlive the server's memory would never end otherwise.
 */
import { GoneError, KubeProtocolError } from "./errors.ts";
import type { KubeClient, ListPage, Selection } from "./kube-client.ts";
import type { ResourceType } from "./resource-type.ts";
import { collectionPath } from "./resource-type.ts";
import type { KubeObject } from "./wire.ts";

/** Pages of one list; more, and the server turns in a circle. */
const PAGE_COUNT_MAX = 10_000;

/** What is listed, and in which portions. */
export interface PagedListOptions extends Selection {
  readonly pageSize: number;
  readonly signal: AbortSignal;
}

/** Objects and the resource version of the moment that they show. */
export type WholeList<T> = Pick<ListPage<T>, "items" | "resourceVersion">;

/** Reads all pages of a list. */
export async function listAll<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  { pageSize, ...options }: PagedListOptions,
): Promise<WholeList<T>> {
  const first = await client.list(type, { ...options, limit: pageSize });
  const items = [...first.items];
  let { continueToken } = first;
  for (let pageCount = 1; continueToken !== undefined; pageCount++) {
    if (pageCount >= PAGE_COUNT_MAX) {
      const request = `GET ${collectionPath(type, options.namespace)}`;
      throw new KubeProtocolError(request, `the list has more than ${PAGE_COUNT_MAX} pages`);
    }
    let page: ListPage<T>;
    try {
      page = await client.list(type, { ...options, limit: pageSize, continueToken });
    } catch (error) {
      if (error instanceof GoneError) return client.list(type, options);
      throw error;
    }
    items.push(...page.items);
    ({ continueToken } = page);
  }
  return { items, resourceVersion: first.resourceVersion };
}
