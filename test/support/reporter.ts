// What was skipped and why, counts per project (Node, each engine), and as the very last line "N passed, N failed, N skipped" over all of them.
// An error outside of any test, and a file that could not be run, count as failed.
import type { Reporter, SerializedError, TestModule } from "vitest/node";

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const line = ({ passed, failed, skipped }: Counts): string => `${String(passed)} passed, ${String(failed)} failed, ${String(skipped)} skipped`;

/** Vitest reporter that adds the counts after everything else was printed; `notes` (engines not found) stand before them. */
export class CountsReporter implements Reporter {
  readonly #notes: readonly string[];

  constructor(notes: readonly string[]) {
    this.#notes = notes;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const projects = new Map<string, Counts>();
    const skips: string[] = [];
    const total: Counts = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      const counts = projects.get(module.project.name) ?? { passed: 0, failed: 0, skipped: 0 };
      projects.set(module.project.name, counts);
      let seen = 0;
      for (const test of module.children.allTests()) {
        const result = test.result();
        counts[result.state === "pending" ? "failed" : result.state]++;
        if (result.state === "skipped") skips.push(`skipped in ${module.project.name}: ${test.fullName}${result.note === undefined ? "" : ` (${result.note})`}`);
        seen++;
      }
      if (module.errors().length > 0 || (seen === 0 && module.state() !== "skipped")) counts.failed++;
    }
    for (const { passed, failed, skipped } of projects.values()) {
      total.passed += passed;
      total.failed += failed;
      total.skipped += skipped;
    }
    if (total.failed > 0) process.exitCode = 1;
    process.once("exit", () => {
      for (const note of [...skips, ...this.#notes]) process.stdout.write(`${note}\n`);
      for (const [name, counts] of projects) process.stdout.write(`${name}: ${line(counts)}\n`);
      process.stdout.write(`${line(total)}\n`);
    });
  }
}
