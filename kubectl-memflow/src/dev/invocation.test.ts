/** The lines that say how to go on can be typed as they stand. */
import { expect, test } from "vitest";
import { describeInvocation } from "./invocation.ts";

const NPM = {
  npm_lifecycle_event: "start",
  npm_lifecycle_script: "node -C source kubectl-memflow/src/main.ts dev -f examples/research-agent",
};

test("a call by npm start is shown as npm start with what was added", () => {
  const own = ["dev", "-f", "examples/research-agent"];
  expect(describeInvocation(own, NPM).command).toBe("npm start");
  expect(describeInvocation([...own, "--once"], NPM)).toEqual({
    command: "npm start -- --once",
    commandWithOptions: "npm start -- ",
  });
});

test("arguments are quoted where a shell would break them", () => {
  const args = ["dev", "-f", "my app", "--input", `{"it's": 1}`];
  expect(describeInvocation(args, {}).command).toBe(`memflow dev -f 'my app' --input '{"it'\\''s": 1}'`);
});

test("--fresh is not repeated: it would forget what is to be resumed", () => {
  expect(describeInvocation(["dev", "-f", "app", "--fresh"], {}).command).toBe("memflow dev -f app");
});

test("a suggestion replaces what the call said about the run", () => {
  const args = ["dev", "-f", "app", "--input", "{}", "--once", "--corpus", "docs"];
  expect(describeInvocation(args, {}).commandWithOptions).toBe("memflow dev -f app --once ");
});

test("a script of another name keeps its name", () => {
  const environment = { npm_lifecycle_event: "agent", npm_lifecycle_script: "memflow dev -f agent" };
  expect(describeInvocation(["dev", "-f", "agent", "--once"], environment).command).toBe(
    "npm run agent -- --once",
  );
});
