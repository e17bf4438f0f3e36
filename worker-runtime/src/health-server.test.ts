/** What a cluster is told about a worker over HTTP. */
import { Gauge, Registry } from "prom-client";
import { afterEach, expect, test } from "vitest";
import { startHealthServer } from "./health-server.ts";
import type { HealthServer, Readiness } from "./health-server.ts";

const servers: HealthServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function serve(readiness: () => Promise<Readiness>): Promise<{ url: string; port: number }> {
  const metrics = new Registry();
  new Gauge({ name: "memflow_test_figure", help: "A figure.", registers: [metrics] }).set(7);
  const server = await startHealthServer({ host: "127.0.0.1", port: 0, metrics, readiness });
  servers.push(server);
  return { url: `http://127.0.0.1:${server.port}`, port: server.port };
}

test("a worker that claims is alive and ready", async () => {
  const { url } = await serve(async () => ({ ready: true }));
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
});

test("a worker without its database is alive, not ready, and says why", async () => {
  const { url } = await serve(async () => ({ ready: false, reason: "the database does not answer" }));
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const answer = await fetch(`${url}/readyz`);
  expect([answer.status, await answer.text()]).toEqual([503, "the database does not answer\n"]);
});

test("metrics are served in Prometheus' format", async () => {
  const { url } = await serve(async () => ({ ready: true }));
  const answer = await fetch(`${url}/metrics`);
  expect(answer.headers.get("content-type")).toContain("text/plain");
  expect(await answer.text()).toContain("memflow_test_figure 7");
});

test("a port that is taken is refused with the variable to set", async () => {
  const { port } = await serve(async () => ({ ready: true }));
  const options = {
    host: "127.0.0.1",
    port,
    metrics: new Registry(),
    readiness: async () => ({ ready: true }),
  };
  await expect(startHealthServer(options)).rejects.toMatchObject({
    code: "HEALTH_PORT",
    message: expect.stringContaining("MEMFLOW_PORT") as string,
  });
});
