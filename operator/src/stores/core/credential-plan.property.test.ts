/**
 * Two roles that take turns, in a world where processes die between two writes, pods come late, and users meddle: whoever reads
 * the Secret can log in, and whoever holds the password before keeps its login while it uses it.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { GRACE_MAX_MS, GRACE_MS, planCredential } from "./credential-plan.ts";
import type { CredentialObservation, CredentialStep, Slot } from "./credential-plan.ts";

interface Role {
  password: string;
  canLogin: boolean;
  sessionCount: number;
  unusedSinceMs: number;
}

interface Handed {
  slot: Slot;
  password: string;
  rotatedMs: number;
  request: string | undefined;
  previous: Slot | undefined;
}

const ROTATE_EVERY_MS = 24 * 3_600_000;

/** Database, Secret and pods, as the steps change them. */
class World {
  readonly roles: Record<Slot, Role | undefined> = { a: undefined, b: undefined };
  secret: Handed | undefined;
  nowMs = 0;
  request: string | undefined;
  #passwordCount = 0;

  observe(): CredentialObservation {
    const { secret } = this;
    const role = secret === undefined ? undefined : this.roles[secret.slot];
    const previous = secret?.previous === undefined ? undefined : this.roles[secret.previous];
    return {
      secret: secret === undefined ? { kind: "Missing" } : { kind: "Ours", ...secret, upToDate: true },
      roles: this.roles,
      login:
        role?.canLogin === true ? (role.password === secret?.password ? "Accepted" : "Refused") : undefined,
      isGranted: true,
      isRestored: false,
      previousUnusedMs:
        previous === undefined || previous.sessionCount > 0 ? 0 : this.nowMs - previous.unusedSinceMs,
      request: this.request,
      nowMs: this.nowMs,
      rotateEveryMs: ROTATE_EVERY_MS,
    };
  }

  /** Does a step; a process that dies has done its first half. */
  apply(step: CredentialStep, diesHalfway: boolean): void {
    switch (step.kind) {
      case "HandOut": {
        const password = `password ${(this.#passwordCount += 1)}`;
        this.#set(step.slot, password);
        if (diesHalfway) return;
        const { slot, previous } = step;
        this.secret = { slot, password, rotatedMs: this.nowMs, request: this.request, previous };
        return;
      }
      case "Restore":
        if (this.secret !== undefined) this.#set(step.slot, this.secret.password);
        return;
      case "Retire": {
        const role = this.roles[step.slot];
        if (role !== undefined) role.canLogin = false;
        if (!diesHalfway && this.secret !== undefined) this.secret.previous = undefined;
        return;
      }
      case "Grant":
      case "Rewrite":
        throw new Error(`nothing in this world asks for ${step.kind}`);
    }
  }

  /** @returns How many steps were done. */
  settle(): number {
    for (let count = 0; count < 20; count += 1) {
      const step = planCredential(this.observe());
      if (step === undefined) return count;
      this.apply(step, false);
    }
    throw new Error("it never comes to rest");
  }

  canLogin(held: Pick<Handed, "slot" | "password">): boolean {
    const role = this.roles[held.slot];
    return role?.canLogin === true && role.password === held.password;
  }

  #set(slot: Slot, password: string): void {
    const known = this.roles[slot];
    const { sessionCount = 0, unusedSinceMs = this.nowMs } = known ?? {};
    this.roles[slot] = { password, canLogin: true, sessionCount, unusedSinceMs };
  }
}

const happening = fc.oneof(
  fc.record({ kind: fc.constant("Pass" as const), ms: fc.integer({ min: 1, max: 2 * GRACE_MS }) }),
  fc.record({ kind: fc.constant("Pass" as const), ms: fc.constant(ROTATE_EVERY_MS) }),
  fc.record({ kind: fc.constant("Ask" as const) }),
  fc.record({ kind: fc.constant("Connect" as const) }),
  fc.record({ kind: fc.constant("Disconnect" as const), slot: fc.constantFrom<Slot>("a", "b") }),
  fc.record({ kind: fc.constant("DieHalfway" as const) }),
  fc.record({ kind: fc.constant("Reconcile" as const) }),
);

test("whoever reads the Secret can log in, whenever the operator dies", () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
      const world = new World();
      world.settle();
      let asked = 0;
      for (const event of happenings) {
        if (event.kind === "Pass") world.nowMs += event.ms;
        if (event.kind === "Ask") world.request = `request ${(asked += 1)}`;
        if (event.kind === "Connect" && world.secret !== undefined) {
          const role = world.roles[world.secret.slot];
          if (role !== undefined) role.sessionCount += 1;
        }
        if (event.kind === "Disconnect") {
          const role = world.roles[event.slot];
          if (role !== undefined && role.sessionCount > 0) {
            role.sessionCount -= 1;
            role.unusedSinceMs = world.nowMs;
          }
        }
        const step = event.kind === "DieHalfway" ? planCredential(world.observe()) : undefined;
        if (step !== undefined) world.apply(step, true);
        if (event.kind === "Reconcile") world.settle();
        expect(world.secret !== undefined && world.canLogin(world.secret)).toBe(true);
      }
      world.settle();
      expect(planCredential(world.observe())).toBeUndefined();
    }),
  );
});

test("who uses the password before keeps its login, for as long as a drain may take", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: GRACE_MS }), { maxLength: 50 }), (pauses) => {
      const world = new World();
      world.settle();
      const held = { ...(world.secret as Handed) };
      const role = world.roles[held.slot] as Role;
      role.sessionCount = 1;
      world.request = "now";
      world.settle();
      const rotatedMs = world.nowMs;
      for (const ms of pauses) {
        world.nowMs += ms;
        world.settle();
        expect(world.canLogin(held)).toBe(world.nowMs - rotatedMs < GRACE_MAX_MS);
      }
      world.nowMs = rotatedMs + GRACE_MAX_MS;
      world.settle();
      expect(world.canLogin(held)).toBe(false);
    }),
  );
});

test("a role that nobody has used for the grace loses its login, and not before", () => {
  const world = new World();
  world.settle();
  const held = { ...(world.secret as Handed) };
  world.request = "now";
  expect(world.settle()).toBe(1);
  const handed = world.secret;
  world.nowMs += GRACE_MS - 1;
  expect(world.settle()).toBe(0);
  expect(world.canLogin(held)).toBe(true);
  world.nowMs += 1;
  expect(world.settle()).toBe(1);
  expect(world.canLogin(held)).toBe(false);
  expect(world.secret).toEqual({ ...handed, previous: undefined });
});

test("a rotation is due by time or by request, once for each", () => {
  const world = new World();
  world.settle();
  const slots = (): string | undefined => world.secret?.slot;
  expect(slots()).toBe("a");
  world.nowMs += ROTATE_EVERY_MS;
  world.settle();
  expect(slots()).toBe("b");
  world.nowMs += GRACE_MS;
  world.request = "now";
  world.settle();
  expect(slots()).toBe("a");
  world.nowMs += GRACE_MS;
  world.settle();
  expect(slots()).toBe("a");
});

test("a password that was changed behind the operator's back is set again", () => {
  const world = new World();
  world.settle();
  (world.roles.a as Role).password = "meddled";
  expect(planCredential(world.observe())).toEqual({ kind: "Restore", slot: "a" });
  world.settle();
  expect(world.canLogin(world.secret as Handed)).toBe(true);
  (world.roles.a as Role).password = "meddled";
  expect(planCredential({ ...world.observe(), isRestored: true })).toBeUndefined();
});

test("a lost Secret is made anew with the role that nobody uses", () => {
  const world = new World();
  world.settle();
  (world.roles.a as Role).sessionCount = 2;
  world.secret = undefined;
  world.settle();
  expect(world.secret).toMatchObject({ slot: "b" });
  expect(world.roles.a?.canLogin).toBe(true);
});

test("somebody else's Secret is left alone", () => {
  const world = new World();
  expect(planCredential({ ...world.observe(), secret: { kind: "Foreign" } })).toBeUndefined();
});

test("rights come before what is in the Secret", () => {
  const world = new World();
  world.settle();
  const observation = world.observe();
  if (observation.secret.kind !== "Ours") throw new Error("it is ours");
  const secret = { ...observation.secret, upToDate: false };
  expect(planCredential({ ...observation, secret, isGranted: false })).toEqual({ kind: "Grant", slot: "a" });
  expect(planCredential({ ...observation, secret })).toEqual({
    kind: "Rewrite",
    slot: "a",
    previous: undefined,
  });
});
