/** The pages of lists: all pages of one list show the moment of its first. */
import type { KubeObject } from "../../kube/wire.ts";
import { Refusal } from "./refusal.ts";

/** A list as it is sent. */
export interface ListAnswer {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly KubeObject[];
}

/** What a list is asked for with. */
export interface ListRequest {
  /** 0: all at once. */
  readonly limit: number;
  readonly continueToken: string | null;
}

interface Rest {
  readonly revision: number;
  readonly items: readonly KubeObject[];
}

/** What is left of each list that was not read to its end. */
export class ListPages {
  readonly #rests = new Map<string, Rest>();
  #nextToken = 1;

  /** Forgets them: who asks for a next page is told that it is gone. */
  expire(): void {
    this.#rests.clear();
  }

  /**
   * The page that was asked for.
   *
   * @throws {Refusal} 410 when the token has run out.
   */
  page({ limit, continueToken }: ListRequest, read: () => Rest): ListAnswer {
    const { revision, items } = continueToken === null ? read() : this.#resume(continueToken);
    const pageItems = limit > 0 ? items.slice(0, limit) : items;
    const left = items.slice(pageItems.length);
    // As in Kubernetes, the items of a list do not repeat its type.
    const bare = pageItems.map((item) => {
      const { apiVersion: _apiVersion, kind: _kind, ...rest } = item;
      return rest;
    });
    if (left.length === 0) return { metadata: { resourceVersion: String(revision) }, items: bare };
    const token = `page-${this.#nextToken++}`;
    this.#rests.set(token, { revision, items: left });
    return { metadata: { resourceVersion: String(revision), continue: token }, items: bare };
  }

  #resume(token: string): Rest {
    const rest = this.#rests.get(token);
    if (!rest) throw new Refusal(410, "Expired", "The provided continue parameter is too old");
    return rest;
  }
}
