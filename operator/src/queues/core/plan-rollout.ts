/**
 * The life of builds as one step of a machine: Pending -> Ramping -> Current -> Draining -> Drained -> gone.
 *
 * What stands in the database decides who gets new runs; the status only remembers since when. So a step that was cut short
 * anywhere is taken again and ends the same. Promises: never two current builds; a build that is not proven (a ready worker, and its
 * gate) gets no new run while another one serves; a build that may have open runs is never removed; the builds
 * that get new runs share 100 percent; a gate that no longer decides anything leaves no open run.
 */
import { durationMs } from "@memflow/crds";
import type {
  BuildFacts,
  GateEnd,
  Progress,
  RolloutFacts,
  RolloutPlan,
  Route,
  Version,
  VersionEvent,
  Versioning,
} from "./rollout-facts.ts";

type Gate = NonNullable<Versioning["rollout"]["gate"]>;

/** Open runs of draining builds are counted so often. */
const DRAIN_LOOK_MS = 15_000;
/** And the gate's run is looked at so often. */
const GATE_LOOK_MS = 2_000;
/** A claim that was under way when a build stopped to get new runs is seen within this time. */
const DRAINED_MS_MIN = 5_000;

/** The builds in the phases in which they are, before anything is done about it. */
export function versionsOf({ builds, routes, nowMs }: RolloutFacts): readonly Version[] {
  // Without any row that gets new runs the database knows nothing: as after a restore, or before the first build.
  const isRouted = routes.some(({ role }) => role !== "Draining");
  return builds.map((build) => {
    const route = routes.find(({ buildId }) => buildId === build.buildId);
    const phase = phaseOf(build, route, isRouted);
    const rampPercent = phase === "Ramping" ? (route?.sharePercent ?? build.rampPercent ?? 0) : undefined;
    const stays = build.phase === phase && (phase !== "Ramping" || build.rampPercent === rampPercent);
    return {
      buildId: build.buildId,
      phase,
      sinceMs: (stays ? build.sinceMs : undefined) ?? nowMs,
      rampPercent,
    };
  });
}

/** Takes one step. */
export function planRollout(facts: RolloutFacts): RolloutPlan {
  const step = new Step(facts);
  step.dismissSuperseded();
  const progress = step.advanceTarget();
  step.drain();
  return step.plan(progress);
}

function phaseOf(build: BuildFacts, route: Route | undefined, isRouted: boolean): Version["phase"] {
  if (!isRouted) return build.phase ?? "Pending";
  if (route?.role === "Current" || route?.role === "Ramping") return route.role;
  if (route !== undefined) return "Draining";
  const { phase = "Pending" } = build;
  return phase === "Drained" || phase === "Pending" ? phase : "Draining";
}

/** One step under way. */
class Step {
  readonly #facts: RolloutFacts;
  readonly #before: ReadonlyMap<string, Version>;
  readonly #versions: Map<string, Version>;
  readonly #removed: string[] = [];
  readonly #events: VersionEvent[] = [];
  readonly #endedGates: GateEnd[] = [];
  #startGate = false;
  #lookAgainMs: number | undefined;

  constructor(facts: RolloutFacts) {
    this.#facts = facts;
    this.#before = new Map(versionsOf(facts).map((version) => [version.buildId, version]));
    this.#versions = new Map(this.#before);
  }

  /** Of builds on their way only that of the spec goes on. */
  dismissSuperseded(): void {
    for (const version of this.#versions.values()) {
      if (version.buildId === this.#facts.targetBuildId) continue;
      if (version.phase === "Ramping") this.#enter(version.buildId, "Draining");
      // It has never been proven, so it does not drain: it stays until no run of a gate is left on it.
      if (version.phase === "Pending") {
        if (this.#openRunsOf(version.buildId) === 0) this.#remove(version.buildId);
        else {
          this.#giveUpGates(version.buildId);
          this.#lookIn(DRAIN_LOOK_MS);
        }
      }
    }
  }

  /** Brings the build of the spec as far as it may go. */
  advanceTarget(): Progress | undefined {
    const { targetBuildId } = this.#facts;
    const target = this.#versions.get(targetBuildId);
    if (target === undefined) return undefined;
    switch (target.phase) {
      case "Current":
        return { reason: "RolloutComplete", message: `new runs go to build "${targetBuildId}"` };
      case "Draining":
      case "Drained":
        return this.#rollBack();
      case "Pending":
        return this.#judge();
      case "Ramping":
        return this.#ramp(target);
    }
  }

  /** Old builds go when nothing stays with them. */
  drain(): void {
    for (const version of this.#versions.values()) {
      if (version.phase !== "Draining" && version.phase !== "Drained") continue;
      const openRuns = this.#openRunsOf(version.buildId);
      if (version.phase === "Draining" && openRuns === 0 && this.#isKnownToDrain(version.buildId)) {
        this.#enter(version.buildId, "Drained");
        this.#tell("Normal", "VersionDrained", `build "${version.buildId}" has no open run any more`);
      } else if (version.phase === "Drained" && openRuns !== undefined && openRuns > 0) {
        this.#enter(version.buildId, "Draining");
      }
      this.#awaitEnd(version.buildId, openRuns);
    }
  }

  plan(progress: Progress | undefined): RolloutPlan {
    const versions = [...this.#versions.values()];
    return {
      versions,
      routes: routesOf(versions),
      removed: this.#removed,
      endedGates: this.#endedGates,
      startGate: this.#startGate,
      progress,
      events: this.#events,
      lookAgainMs: this.#lookAgainMs,
    };
  }

  /**
   * Until the pass before this one it got new runs perhaps: what was counted is no answer yet. And once its row is gone, only the
   * status remembers that it served.
   */
  #isKnownToDrain(buildId: string): boolean {
    const known = this.#facts.builds.find((build) => build.buildId === buildId)?.phase;
    return this.#before.get(buildId)?.phase === "Draining" && known === "Draining";
  }

  #awaitEnd(buildId: string, openRuns: number | undefined): void {
    const version = this.#versions.get(buildId);
    if (version?.phase !== "Drained") {
      this.#lookIn(DRAIN_LOOK_MS);
      return;
    }
    const { scaledownDelay, deleteDelay } = this.#facts.versioning.draining;
    const keptMs = Math.max(DRAINED_MS_MIN, durationMs(scaledownDelay) + durationMs(deleteDelay));
    const leftMs = version.sinceMs + keptMs - this.#facts.nowMs;
    if (leftMs > 0) this.#lookIn(leftMs);
    else if (openRuns === 0) this.#delete(buildId);
    else this.#lookIn(DRAIN_LOOK_MS);
  }

  /** It served before: no worker and no gate has to prove it again. */
  #rollBack(): Progress {
    const { rollout } = this.#facts.versioning;
    return rollout.strategy === "Manual" ? this.#promoteWhenAsked() : this.#promote();
  }

  #judge(): Progress {
    const { targetBuildId, versioning } = this.#facts;
    const hasCurrent = [...this.#versions.values()].some(({ phase }) => phase === "Current");
    // Nobody serves whom it could harm, and a queue at zero must accept runs.
    if (!hasCurrent) return this.#promote();
    const { gate, strategy } = versioning.rollout;
    const late = gate === undefined ? undefined : this.#endLateGate(gate);
    if (late !== undefined) return late;
    const fault = this.#targetFault;
    if (fault !== undefined) return this.#block("NewBuildStarting", fault);
    if (!this.#isTargetReady) {
      return { reason: "NewBuildStarting", message: `build "${targetBuildId}" has no ready worker yet` };
    }
    if (gate === undefined) this.#giveUpGates(targetBuildId);
    const waiting = gate === undefined ? undefined : this.#passGate(gate);
    if (waiting !== undefined) return waiting;
    if (strategy === "AllAtOnce") return this.#promote();
    if (strategy === "Manual") return this.#promoteWhenAsked();
    return this.#rampFrom(0);
  }

  /** Its time passes too while the build's workers are not ready. */
  #endLateGate({ workflow, timeout }: Gate): Progress | undefined {
    const { gate, nowMs, targetBuildId } = this.#facts;
    if (gate.state === "Running") {
      const leftMs = gate.startedMs + durationMs(timeout) - nowMs;
      if (leftMs > 0) {
        this.#lookIn(leftMs);
        return undefined;
      }
      this.#endedGates.push({ buildId: targetBuildId, why: "TimedOut" });
    } else if (gate.state !== "TimedOut") return undefined;
    return this.#failGate(
      "GateTimedOut",
      `the run of "${workflow}" on build "${targetBuildId}" took longer than ${timeout}`,
    );
  }

  /** @returns Undefined once the gate is passed. */
  #passGate({ workflow }: Gate): Progress | undefined {
    const { gate, targetBuildId } = this.#facts;
    const run = `the run of "${workflow}" on build "${targetBuildId}"`;
    if (gate.state === "Completed") return undefined;
    if (gate.state === "Failed") {
      this.#giveUpGates(targetBuildId);
      return this.#failGate("GateFailed", `${run} failed: ${gate.message}`);
    }
    if (gate.state === "NotStarted") {
      this.#giveUpGates(targetBuildId);
      this.#startGate = true;
    }
    this.#lookIn(GATE_LOOK_MS);
    return { reason: "GateRunning", message: `${run} is under way` };
  }

  #giveUpGates(buildId: string): void {
    if ((this.#openRunsOf(buildId) ?? 0) > 0) this.#endedGates.push({ buildId, why: "GivenUp" });
  }

  #ramp(target: Version): Progress {
    const { targetBuildId, versioning, nowMs } = this.#facts;
    const { strategy, steps } = versioning.rollout;
    const { rampPercent = 0, sinceMs } = target;
    if (strategy === "AllAtOnce") return this.#promote();
    if (strategy === "Manual") return this.#promoteWhenAsked();
    const fault = this.#targetFault;
    if (fault !== undefined) return this.#block("Ramping", `it stays at ${rampPercent} percent: ${fault}`);
    // Steps may have been edited meanwhile: the one that it stands on is the last one that it has reached.
    const step = steps.findLast(({ percent }) => percent <= rampPercent);
    const leftMs = sinceMs + durationMs(step?.pause ?? "0s") - nowMs;
    if (leftMs <= 0) return this.#rampFrom(rampPercent);
    this.#lookIn(leftMs);
    return rampingAt(targetBuildId, rampPercent);
  }

  /** To the next step, or past the last one. */
  #rampFrom(percent: number): Progress {
    const { targetBuildId, versioning } = this.#facts;
    const next = versioning.rollout.steps.find((step) => step.percent > percent);
    if (next === undefined) return this.#promote();
    this.#enter(targetBuildId, "Ramping", next.percent);
    this.#lookIn(durationMs(next.pause));
    return rampingAt(targetBuildId, next.percent);
  }

  #promoteWhenAsked(): Progress {
    const { promote, targetBuildId } = this.#facts;
    if (promote === targetBuildId) return this.#promote();
    return {
      reason: "WaitingForPromotion",
      message: `set the annotation memflow.io/promote to "${targetBuildId}"`,
    };
  }

  #promote(): Progress {
    const { targetBuildId } = this.#facts;
    for (const { buildId, phase } of this.#versions.values()) {
      if (phase === "Current") this.#enter(buildId, "Draining");
    }
    this.#enter(targetBuildId, "Current");
    const message = `new runs go to build "${targetBuildId}"`;
    this.#tell("Normal", "VersionPromoted", message);
    return { reason: "RolloutComplete", message };
  }

  #failGate(reason: "GateFailed" | "GateTimedOut", message: string): Progress {
    const remedy = `${message}; new runs stay where they are: fix the code, or change the gate`;
    this.#tell("Warning", "GateFailed", remedy);
    return { reason, message: remedy };
  }

  #block(reason: Progress["reason"], why: string): Progress {
    const message = `build "${this.#facts.targetBuildId}": ${why}`;
    this.#tell("Warning", "RolloutBlocked", message);
    return { reason, message };
  }

  #enter(buildId: string, phase: Version["phase"], rampPercent?: number): void {
    this.#versions.set(buildId, { buildId, phase, sinceMs: this.#facts.nowMs, rampPercent });
  }

  #remove(buildId: string): void {
    this.#versions.delete(buildId);
    this.#removed.push(buildId);
  }

  #delete(buildId: string): void {
    this.#remove(buildId);
    this.#tell("Normal", "VersionDeleted", `drained build "${buildId}" was deleted`);
  }

  get #targetFault(): string | undefined {
    const { builds, targetBuildId } = this.#facts;
    return builds.find(({ buildId }) => buildId === targetBuildId)?.fault;
  }

  get #isTargetReady(): boolean {
    const { builds, targetBuildId } = this.#facts;
    return builds.some(({ buildId, readyReplicas }) => buildId === targetBuildId && readyReplicas > 0);
  }

  #openRunsOf(buildId: string): number | undefined {
    return this.#facts.builds.find((build) => build.buildId === buildId)?.openRuns;
  }

  #tell(type: VersionEvent["type"], reason: VersionEvent["reason"], note: string): void {
    this.#events.push({ type, reason, note });
  }

  #lookIn(delayMs: number): void {
    this.#lookAgainMs = Math.min(this.#lookAgainMs ?? delayMs, delayMs);
  }
}

function rampingAt(buildId: string, percent: number): Progress {
  return { reason: "Ramping", message: `${percent} percent of new runs go to build "${buildId}"` };
}

/**
 * A drained build has no row, so that the database tells it from one that has just stopped to get new runs, whatever the status
 * remembers. Runs that are pinned to it all the same are claimed by its workers, and bring it back.
 */
function routesOf(versions: readonly Version[]): readonly Route[] | undefined {
  const current = versions.find(({ phase }) => phase === "Current");
  if (current === undefined) return undefined;
  const rampPercent = versions.find(({ phase }) => phase === "Ramping")?.rampPercent ?? 0;
  return versions.flatMap(({ buildId, phase }): Route[] => {
    switch (phase) {
      case "Pending":
      case "Drained":
        return [];
      case "Current":
        return [{ buildId, role: "Current", sharePercent: 100 - rampPercent }];
      case "Ramping":
        return [{ buildId, role: "Ramping", sharePercent: rampPercent }];
      case "Draining":
        return [{ buildId, role: "Draining", sharePercent: 0 }];
    }
  });
}
