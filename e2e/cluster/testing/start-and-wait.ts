/** Starts a cluster without nodes, says where it is, and stops it when its standard input ends: to be killed meanwhile. */
import { once } from "node:events";
import { localProvider } from "../local/local-provider.ts";

const cluster = await localProvider.start({ form: "control-plane" });
process.stdout.write(`${cluster.kubeconfig}\n`);
process.stdin.resume();
await once(process.stdin, "end");
await cluster.stop();
