/** Where the script is that runs what lives in namespaces of its own. */
import { join } from "node:path";

export const SUPERVISOR: string = join(import.meta.dirname, "supervise.sh");
