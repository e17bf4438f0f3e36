/** Which gateway a command means, and to whom no credentials are sent. */
import { expect, test } from "vitest";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import { chooseGateway } from "./gateway-target.ts";

const DEV = { server: "http://127.0.0.1:4000" };
const OPTIONS = { headers: true };

test("an address on the command line counts before a running memflow dev, and that before the kubeconfig", () => {
  expect(chooseGateway({ ...OPTIONS, server: "https://g.example" }, {}, DEV)).toEqual({
    kind: "address",
    server: "https://g.example",
  });
  expect(chooseGateway(OPTIONS, { MEMFLOW_SERVER: "https://v.example" }, DEV)).toMatchObject({
    server: "https://v.example",
  });
  expect(chooseGateway(OPTIONS, {}, DEV)).toEqual({ kind: "dev", server: DEV.server });
  expect(chooseGateway(OPTIONS, {}, undefined)).toEqual({ kind: "cluster" });
});

test.each([{ context: "blue" }, { kubeconfig: "file" }, { gatewayNamespace: "memflow" }])(
  "who names a cluster by %o means it, also where memflow dev runs",
  (options) => {
    expect(chooseGateway({ ...OPTIONS, ...options }, { MEMFLOW_SERVER: "https://v.example" }, DEV)).toEqual({
      kind: "cluster",
    });
  },
);

test.each([
  [{ server: "https://g.example", context: "blue" }, /exclude each other/u],
  [{ server: "g.example" }, /no address/u],
  [{ server: "http://g.example", tokenFile: "t" }, /no TLS: no credentials are sent/u],
  [{ server: "https://g.example", clientCertificate: "c" }, /go together/u],
  [{ tokenFile: "t" }, /--token-file goes with --server/u],
])("%o is refused as a usage error", (options, message) => {
  const choose = (): unknown => chooseGateway({ ...OPTIONS, ...options }, {}, undefined);
  expect(choose).toThrow(message);
  expect(choose).toThrow(expect.objectContaining({ exitCode: EXIT_CODES.usage }) as CommandError);
});

test("a token goes to this machine without TLS", () => {
  const options = { ...OPTIONS, server: "http://127.0.0.1:8080", tokenFile: "t" };
  expect(chooseGateway(options, {}, undefined)).toMatchObject({ kind: "address" });
});
