// The documents keep their word: the Chinese README is the English one, links lead somewhere, and code is in blocks that get type-checked.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { documents } from "../scripts/docs-code.mjs";
import { readMarkdown } from "../scripts/markdown.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (name: string): string => readFileSync(root + name, "utf8");

/** Headings as GitHub turns them into anchors. */
const anchorsOf = (text: string): string[] =>
  readMarkdown(text).headings.map(({ title }) => title.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/gu, "-"));

describe("README.zh-CN.md", () => {
  test("has the headings of README.md, level by level", () => {
    const [english, chinese] = ["README.md", "README.zh-CN.md"].map((name) => readMarkdown(read(name)).headings.map(({ level }) => level));
    expect(english?.length).toBeGreaterThan(3);
    expect(chinese).toEqual(english);
  });

  test("has the code blocks of README.md, letter by letter", () => {
    const [english, chinese] = ["README.md", "README.zh-CN.md"].map((name) => readMarkdown(read(name)).blocks.map(({ language, code, check }) => ({ language, code, check })));
    expect(english?.length).toBeGreaterThan(2);
    expect(chinese).toEqual(english);
  });
});

test("every relative link leads to a file, and to a heading where it names one", () => {
  const broken: string[] = [];
  for (const name of documents()) {
    const text = read(name);
    const prose = text.replace(/^ {0,3}(`{3,}|~{3,})[\s\S]*?^ {0,3}\1/gmu, "").replace(/`[^`\n]*`/gu, "");
    for (const [, link = ""] of prose.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/gu)) {
      if (/^[a-z]+:/u.test(link)) continue;
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? name : join(dirname(name), path);
      if (target.startsWith("docs/api")) continue; // generated
      if (!existsSync(root + target)) broken.push(`${name}: ${link}`);
      else if (anchor !== undefined && target.endsWith(".md") && !anchorsOf(read(target)).includes(decodeURIComponent(anchor))) broken.push(`${name}: ${link}`);
    }
  }
  expect(documents()).toContain("README.md");
  expect(broken).toEqual([]);
});

describe("the reader of Markdown", () => {
  test("finds headings and blocks, with line, language and what was declared above", () => {
    const text = ["# One", "", "<!-- check: declare const im: number; -->", "```ts", "# not a heading", "im;", "```", "## Two", "~~~sh", "ls", "~~~"].join("\n");
    const { headings, blocks } = readMarkdown(text);
    expect(headings).toEqual([{ level: 1, title: "One" }, { level: 2, title: "Two" }]);
    expect(blocks).toEqual([
      { language: "ts", code: "# not a heading\nim;", line: 5, check: "declare const im: number;" },
      { language: "sh", code: "ls", line: 10, check: undefined },
    ]);
  });

  test("refuses a block that is never closed", () => {
    expect(() => readMarkdown("```ts\nlet a;")).toThrow("never closed");
  });
});
