/**
 * A HorizontalPodAutoscaler, as plainly as it can be written: every recommendation and every change is kept in a list.
 *
 * Written after the Kubernetes controller (pkg/controller/podautoscaler/horizontal.go) for one external metric with an
 * AverageValue target. The simulator runs it beside our own rule, and the tests of our rule compare with it.
 */
import type { ScalingPolicy, ScalingRules } from "../core/policy.ts";

/** How often the controller looks. */
export const HPA_SYNC_MS = 15_000;

/** @see HorizontalPodAutoscaler */
export interface HpaOptions {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** Of the metric, for each replica. */
  readonly targetAverageValue: number;
  readonly behavior: ScalingPolicy["behavior"];
}

interface Moment {
  readonly atMs: number;
  readonly replicas: number;
}

/** Keeps what the controller keeps in memory. */
export class HorizontalPodAutoscaler {
  readonly #options: HpaOptions;
  readonly #recommendations: Moment[] = [];
  readonly #ups: Moment[] = [];
  readonly #downs: Moment[] = [];

  constructor(options: HpaOptions) {
    this.#options = options;
  }

  /**
   * One sync.
   *
   * @param metric - The value now; null when it can't be read.
   * @returns Replicas to ask for.
   */
  sync(nowMs: number, current: number, metric: number | null): number {
    const wanted = this.#wanted(nowMs, current, metric);
    if (wanted > current) this.#ups.push({ atMs: nowMs, replicas: wanted - current });
    if (wanted < current) this.#downs.push({ atMs: nowMs, replicas: current - wanted });
    return wanted;
  }

  #wanted(nowMs: number, current: number, metric: number | null): number {
    const { minReplicas, maxReplicas } = this.#options;
    // Zero replicas switch the controller off.
    if (current === 0) return 0;
    if (current > maxReplicas) return maxReplicas;
    if (current < minReplicas) return minReplicas;
    if (metric === null) return current;
    if (this.#recommendations.length === 0) this.#recommendations.push({ atMs: nowMs, replicas: current });
    const desired = this.#desired(current, metric);
    const stable = this.#stabilized(nowMs, current, desired);
    this.#recommendations.push({ atMs: nowMs, replicas: desired });
    return this.#rated(nowMs, current, stable);
  }

  #desired(current: number, metric: number): number {
    const { targetAverageValue, behavior } = this.#options;
    // In whole numbers, so that a metric on the edge is on it.
    const usage = metric * 100;
    const low = targetAverageValue * current * (100 - behavior.scaleDown.tolerancePercent);
    const high = targetAverageValue * current * (100 + behavior.scaleUp.tolerancePercent);
    return usage >= low && usage <= high ? current : Math.ceil(metric / targetAverageValue);
  }

  #stabilized(nowMs: number, current: number, desired: number): number {
    const { scaleUp, scaleDown } = this.#options.behavior;
    let up = desired;
    let down = desired;
    for (const { atMs, replicas } of this.#recommendations) {
      if (atMs > nowMs - scaleUp.stabilizationWindowMs) up = Math.min(up, replicas);
      if (atMs > nowMs - scaleDown.stabilizationWindowMs) down = Math.max(down, replicas);
    }
    let recommendation = current;
    if (recommendation < up) recommendation = up;
    if (recommendation > down) recommendation = down;
    return recommendation;
  }

  #rated(nowMs: number, current: number, desired: number): number {
    const { minReplicas, maxReplicas, behavior } = this.#options;
    if (desired > current) {
      const limit = Math.max(current, this.#upLimit(nowMs, current, behavior.scaleUp));
      return Math.min(desired, maxReplicas, limit);
    }
    if (desired < current) {
      const limit = Math.min(current, this.#downLimit(nowMs, current, behavior.scaleDown));
      return Math.max(desired, minReplicas, limit);
    }
    return desired;
  }

  #upLimit(nowMs: number, current: number, rules: ScalingRules): number {
    if (rules.selectPolicy === "Disabled") return current;
    const proposals = rules.policies.map(({ type, value, periodMs }) => {
      const start = this.#periodStart(nowMs, current, periodMs);
      return type === "Pods" ? start + value : Math.ceil((start * (100 + value)) / 100);
    });
    return rules.selectPolicy === "Min" ? Math.min(...proposals) : Math.max(...proposals);
  }

  #downLimit(nowMs: number, current: number, rules: ScalingRules): number {
    if (rules.selectPolicy === "Disabled") return current;
    const proposals = rules.policies.map(({ type, value, periodMs }) => {
      const start = this.#periodStart(nowMs, current, periodMs);
      return type === "Pods" ? start - value : Math.trunc((start * (100 - value)) / 100);
    });
    // The smallest change leaves the most replicas.
    return rules.selectPolicy === "Min" ? Math.max(...proposals) : Math.min(...proposals);
  }

  #periodStart(nowMs: number, current: number, periodMs: number): number {
    return current - changed(this.#ups, nowMs - periodMs) + changed(this.#downs, nowMs - periodMs);
  }
}

function changed(changes: readonly Moment[], afterMs: number): number {
  let total = 0;
  for (const { atMs, replicas } of changes) if (atMs > afterMs) total += replicas;
  return total;
}
