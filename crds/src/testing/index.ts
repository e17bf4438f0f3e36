/** What tests of other packages try the API with. */
export { loadBaseObjects, loadRuleFixtures } from "./fixtures.ts";
export type { RuleFixture } from "./fixtures.ts";
