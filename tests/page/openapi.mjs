// Prints what Redocly's recommended rules have against an OpenAPI document.
import { createConfig, lint } from "@redocly/openapi-core";

const config = await createConfig({ extends: ["recommended"], rules: {} });
const problems = await lint({ ref: process.argv[2], config });
for (const problem of problems) {
  console.log(`${problem.ruleId} ${problem.severity}: ${problem.message} (${problem.location[0]?.pointer})`);
}
process.exitCode = problems.length === 0 ? 0 : 1;
