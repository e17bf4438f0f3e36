/** Which wait or hook a signal settles, and what is kept. */
import { expect, test } from "vitest";
import { SignalMailbox } from "./signal-mailbox.ts";
import type { ArrivedSignal } from "./signal-mailbox.ts";

const outside = (data: string): ArrivedSignal => ({ fromRunId: null, data });
const from = (fromRunId: string, data: string): ArrivedSignal => ({ fromRunId, data });

test("a signal settles the oldest wait of its id, and that alone", () => {
  const mailbox = new SignalMailbox();
  mailbox.take("a", 0);
  mailbox.take("b", 1);
  mailbox.take("a", 2);
  expect(mailbox.deliver("a", outside("1"))).toEqual([0]);
  expect(mailbox.deliver("a", outside("2"))).toEqual([2]);
  expect(mailbox.deliver("b", outside("3"))).toEqual([1]);
});

test("signals before their waits are kept in order and taken once", () => {
  const mailbox = new SignalMailbox();
  expect(mailbox.deliver("a", outside("1"))).toEqual([]);
  expect(mailbox.deliver("a", outside("2"))).toEqual([]);
  expect(mailbox.take("a", 0)).toMatchObject({ data: "1" });
  expect(mailbox.take("a", 1)).toMatchObject({ data: "2" });
  expect(mailbox.take("a", 2)).toBeUndefined();
});

test("an execHook takes the first signal that its own hook sends, and passes others' by", () => {
  const mailbox = new SignalMailbox();
  mailbox.expectHook("done", { position: 0, hookRunId: "hook-0" });
  mailbox.expectHook("done", { position: 1, hookRunId: "hook-1" });
  expect(mailbox.deliver("done", from("hook-1", "one"))).toEqual([1]);
  expect(mailbox.deliver("done", from("hook-1", "more of one"))).toEqual([]);
  expect(mailbox.deliver("done", from("hook-0", "zero"))).toEqual([0]);
});

test("a signal from outside, or of another run, goes to the oldest open execHook of its id", () => {
  const mailbox = new SignalMailbox();
  mailbox.expectHook("done", { position: 0, hookRunId: "hook-0" });
  mailbox.expectHook("done", { position: 1, hookRunId: "hook-1" });
  expect(mailbox.deliver("done", outside("x"))).toEqual([0]);
  expect(mailbox.deliver("done", from("a child", "y"))).toEqual([1]);
});

test("a signal that an execHook took settles a pending wait of the id as well", () => {
  const mailbox = new SignalMailbox();
  mailbox.expectHook("done", { position: 0, hookRunId: "hook-0" });
  mailbox.take("done", 1);
  expect(mailbox.deliver("done", from("hook-0", "x"))).toEqual([0, 1]);
  expect(mailbox.take("done", 2)).toBeUndefined();
});

test("of the signals that execHooks left over, the latest alone is kept for one later wait", () => {
  const mailbox = new SignalMailbox();
  mailbox.expectHook("done", { position: 0, hookRunId: "hook-0" });
  mailbox.expectHook("done", { position: 1, hookRunId: "hook-1" });
  mailbox.deliver("done", from("hook-0", "old"));
  mailbox.deliver("done", from("hook-1", "new"));
  expect(mailbox.take("done", 2)).toMatchObject({ data: "new" });
  expect(mailbox.take("done", 3)).toBeUndefined();
});

test("a left-over signal replaces no signal that was kept for a wait", () => {
  const mailbox = new SignalMailbox();
  mailbox.expectHook("done", { position: 0, hookRunId: "hook-0" });
  mailbox.deliver("done", from("hook-0", "left over"));
  mailbox.deliver("done", outside("kept"));
  mailbox.expectHook("done", { position: 1, hookRunId: "hook-1" });
  mailbox.deliver("done", from("hook-1", "left over again"));
  expect([mailbox.take("done", 2)?.data, mailbox.take("done", 3)?.data]).toEqual(["kept", "left over again"]);
  expect(mailbox.take("done", 4)).toBeUndefined();
});

test("an execHook that was settled without its signal takes none any more", () => {
  const mailbox = new SignalMailbox();
  mailbox.expectHook("done", { position: 0, hookRunId: "hook-0" });
  mailbox.forgetHook("done", 0);
  mailbox.forgetHook("done", 0);
  expect(mailbox.deliver("done", outside("x"))).toEqual([]);
  expect(mailbox.take("done", 1)).toMatchObject({ data: "x" });
});

test("what nobody took goes to the next attempt in order, without the answers of the hooks of this one", () => {
  const mailbox = new SignalMailbox();
  mailbox.take("a", 0);
  mailbox.expectHook("done", { position: 1, hookRunId: "hook-1" });
  mailbox.deliver("a", outside("taken"));
  mailbox.deliver("done", from("hook-1", "left over"));
  mailbox.deliver("a", outside("1"));
  mailbox.deliver("a", from("hook-2", "stale"));
  mailbox.deliver("a", from("run-3", "2"));
  mailbox.take("a", 2);
  mailbox.take("b", 3);
  mailbox.keep("b", outside("late"));
  mailbox.deliver("a", outside("3"));
  const next = mailbox.untaken(new Set(["hook-1", "hook-2"]));
  expect(next.take("a", 4)).toMatchObject({ data: "2" });
  expect(next.take("a", 5)).toMatchObject({ data: "3" });
  expect(next.take("b", 6)).toMatchObject({ data: "late" });
  expect(["a", "b", "done"].map((id) => next.take(id, 7))).toEqual([undefined, undefined, undefined]);
});

test("a wait that was taken back takes no signal: the next wait does", () => {
  const mailbox = new SignalMailbox();
  mailbox.take("a", 0);
  mailbox.take("a", 1);
  mailbox.forgetWait("a", 0);
  mailbox.forgetWait("a", 0);
  expect(mailbox.deliver("a", outside("1"))).toEqual([1]);
  expect(mailbox.deliver("a", outside("2"))).toEqual([]);
  expect(mailbox.take("a", 2)).toMatchObject({ data: "2" });
});
