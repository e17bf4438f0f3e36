/** What the audit log says of a request, and what it never says. */
import { expect, test } from "vitest";
import { makeAuditLog } from "./audit-log.ts";
import type { AuditScope } from "./audit-log.ts";
import type { Audit, AuditEntry } from "./index.ts";

const ENTRY: AuditEntry = {
  subject: { name: "bob", groups: ["ops"], via: "certificate", impersonatedBy: "ada" },
  access: { verb: "terminate", resource: "workflows/runs", namespace: "shop", name: "order" },
  runId: "r-1",
  workflowId: "order-7",
  requestId: "q-1",
  outcome: "denied",
  status: 403,
};

function setup(scope: AuditScope = "all"): { readonly audit: Audit; readonly lines: string[] } {
  const lines: string[] = [];
  return { audit: makeAuditLog(scope, { write: (line) => void lines.push(line) }), lines };
}

test("a line says who, as whom, what, on which object and run, and how it ended", () => {
  const { audit, lines } = setup();
  audit.record(ENTRY);
  const { time, ...line } = JSON.parse(lines[0] ?? "") as Readonly<Record<string, unknown>>;
  expect(Number.isNaN(Date.parse(String(time)))).toBe(false);
  expect(line).toEqual({
    level: "info",
    log: "audit",
    user: "bob",
    groups: ["ops"],
    via: "certificate",
    impersonatedBy: "ada",
    verb: "terminate",
    resource: "workflows/runs",
    namespace: "shop",
    name: "order",
    runId: "r-1",
    workflowId: "order-7",
    requestId: "q-1",
    outcome: "denied",
    status: 403,
  });
});

test("what others name makes no second line and no endless one", () => {
  const { audit, lines } = setup();
  audit.record({ ...ENTRY, workflowId: `a"\n{"log":"audit","user":"root"}${"b".repeat(10_000)}` });
  expect(lines.length).toBe(1);
  expect(lines[0]?.trimEnd()).not.toContain("\n");
  expect((lines[0] ?? "").length).toBeLessThan(1_500);
});

test("with the scope of changes, reads that were allowed are left out, and nothing else is", () => {
  const { audit, lines } = setup("changes");
  const reading = { ...ENTRY.access, verb: "get" };
  audit.record({ ...ENTRY, access: reading, outcome: "allowed", status: 200 });
  expect(lines).toEqual([]);
  audit.record({ ...ENTRY, access: reading });
  audit.record({ ...ENTRY, access: reading, outcome: "failed", status: 503 });
  audit.record({ ...ENTRY, outcome: "allowed", status: 200 });
  expect(lines.length).toBe(3);
});
