/**
 * The cluster of a scenario file, and the tests on it.
 *
 * A file says once which cluster it wants: the one that all files share, or one of its own. Each test gets a fresh namespace, which
 * is deleted after it. A failure's message ends with what the cluster says: Events, pods, logs. Where no cluster is at
 * hand the tests are skipped with the reason.
 */
import { afterAll, beforeAll, inject, test } from "vitest";
import type { ProviderOffer } from "../../setup/test-cluster.ts";
import { attachCluster } from "../clusters.ts";
import type { AttachedCluster } from "../clusters.ts";
import { providerNamed } from "../providers.ts";
import type { ClusterDescription, StartOptions } from "../provider.ts";
import { ScenarioBench } from "./scenario-bench.ts";

/** A start takes half a minute; it may come after that of another. */
const START_LIMIT_MS = 180_000;
const STOP_LIMIT_MS = 60_000;
const SCENARIO_LIMIT_MS = 120_000;

/** The tests of one file. */
export interface ScenarioFile {
  /**
   * A test with a namespace of its own.
   *
   * @param claim - What it shows, as a sentence.
   * @param limitMs - After which it has failed (default 120,000).
   */
  scenario(claim: string, body: (bench: ScenarioBench) => Promise<void>, limitMs?: number): void;
}

/**
 * Gives a file the cluster that all files share, or, with `own`, one for itself alone, started with these options.
 *
 * Called once, at the top of the file.
 */
export function useCluster(own?: StartOptions): ScenarioFile {
  const offer = inject("clusterProvider");
  let cluster: AttachedCluster | undefined;
  let stop = async (): Promise<void> => {};
  if (!("skip" in offer)) {
    beforeAll(async () => {
      if (own === undefined) cluster = await sharedCluster(offer);
      else ({ cluster, stop } = await ownCluster(offer.provider, own));
    }, START_LIMIT_MS);
    afterAll(() => stop(), STOP_LIMIT_MS);
  }
  return {
    scenario(claim, body, limitMs = SCENARIO_LIMIT_MS) {
      // oxlint-disable-next-line vitest/valid-title, vitest/expect-expect -- the file that calls gives both
      test(claim, { timeout: limitMs + STOP_LIMIT_MS }, async (context) => {
        if ("skip" in offer) return context.skip(offer.skip);
        if (cluster === undefined) throw new Error("the cluster of this file did not start");
        await ScenarioBench.run(cluster, body, limitMs);
      });
    },
  };
}

async function ownCluster(
  provider: string,
  options: StartOptions,
): Promise<{ cluster: AttachedCluster; stop: () => Promise<void> }> {
  const cluster = await providerNamed(provider).start(options);
  return { cluster, stop: () => cluster.stop() };
}

async function sharedCluster(offer: Exclude<ProviderOffer, { skip: string }>): Promise<AttachedCluster> {
  const response = await fetch(offer.sharedClusterUrl);
  if (!response.ok) throw new Error(await response.text());
  return attachCluster((await response.json()) as ClusterDescription);
}
