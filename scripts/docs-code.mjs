// Type-checks every TypeScript block of README.md, README.zh-CN.md and docs/ against the built package, as a consumer's compiler would.
//
// Each block is a module of its own. What a reader knows from the text around it is declared in a comment right above the block, unseen
// when rendered: `<!-- check: declare const im: { send(text: string): void }; -->`. `<!-- check: continues -->` joins a block to the one before.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { PUBLIC_ENTRIES, ROOT, specifier } from "./entries.mjs";
import { readMarkdown } from "./markdown.mjs";

/** Markdown files a reader is sent to, relative to the root; without the generated API pages. */
export function documents() {
  const docs = existsSync(`${ROOT}docs`) ? readdirSync(`${ROOT}docs`, { recursive: true, encoding: "utf8" }) : [];
  const pages = docs.filter((name) => name.endsWith(".md") && !name.startsWith("api/")).map((name) => `docs/${name}`);
  return ["README.md", "README.zh-CN.md", "SECURITY.md", "CHANGELOG.md"].filter((name) => existsSync(ROOT + name)).concat(pages.sort());
}

/**
 * The blocks of one document as modules whose lines are those of the document.
 * @param {string} name
 * @returns {{ name: string, text: string, document: string }[]}
 */
function modulesOf(name) {
  const modules = [];
  /** @type {string[]} */
  let lines = [];
  for (const { language, code, line, check } of readMarkdown(readFileSync(ROOT + name, "utf8")).blocks) {
    if (/^(?:js|javascript|mjs|typescript|tsx|jsx)\b/u.test(language)) throw new Error(`${name}:${line}: write the block as \`\`\`ts, so that it is checked`);
    if (!language.startsWith("ts")) continue;
    if (language !== "ts") throw new Error(`${name}:${line}: nothing may follow \`\`\`ts`);
    const continues = check === "continues";
    if (!continues) lines = [];
    while (lines.length < line - 1) lines.push("");
    if (!continues) lines[line - 2] = `${check ?? ""} export {};`;
    lines.push(...code.split("\n"));
    const module = { name: `${ROOT}.docs-code/${name}.${line}.ts`, text: lines.join("\n"), document: name };
    if (continues) modules.pop();
    modules.push(module);
  }
  return modules;
}

/**
 * Checks all blocks. Rejects with one line per mistake.
 * @returns {Promise<{ documents: number, modules: number }>}
 */
export async function checkDocsCode() {
  const names = documents();
  const modules = names.flatMap(modulesOf);
  const virtual = new Map(modules.map((module) => [path.normalize(module.name), module]));
  /** @type {ts.CompilerOptions} */
  const options = {
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    types: ["node"],
    typeRoots: [`${ROOT}node_modules/@types`],
    paths: Object.fromEntries(PUBLIC_ENTRIES.map(([subpath, source]) => [specifier(subpath), [ROOT + source.replace(/^src/u, "dist").replace(/\.ts$/u, ".d.ts")]])),
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (file) => virtual.has(file) || fileExists(file);
  host.readFile = (file) => virtual.get(file)?.text ?? readFile(file);
  host.getSourceFile = (file, ...rest) => {
    const module = virtual.get(file);
    return module ? ts.createSourceFile(file, module.text, ts.ScriptTarget.ES2022) : getSourceFile(file, ...rest);
  };
  const program = ts.createProgram([...virtual.keys()], options, host);
  const problems = ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n  ");
    if (diagnostic.file === undefined) return message;
    const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
    return `${virtual.get(diagnostic.file.fileName)?.document ?? diagnostic.file.fileName}:${line + 1}: ${message}`;
  });
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return { documents: names.length, modules: modules.length };
}
