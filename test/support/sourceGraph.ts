// What the files of a source tree import and export, read from their syntax trees, and which house rules that breaks.
// Takes the sources as text, so that the rules can be tried on planted violations too.
import { posix } from "node:path";
import ts from "typescript";

/** One import, export-from or `import()` of a file. */
export interface Import {
  readonly from: string;
  /** As written. */
  readonly specifier: string;
  /** The file it means, for relative imports. */
  readonly target: string | undefined;
  /** Erased by the compiler. */
  readonly typeOnly: boolean;
}

/** One file of the tree. */
export interface SourceFile {
  readonly path: string;
  readonly imports: readonly Import[];
  /** `export default` and `export *`, as they stand in the file. */
  readonly looseExports: readonly string[];
  readonly lines: number;
}

const isTypeClause = (clause: ts.ImportClause | undefined): boolean => {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const bindings = clause.namedBindings;
  return clause.name === undefined && bindings !== undefined && ts.isNamedImports(bindings) && bindings.elements.every((element) => element.isTypeOnly);
};

const isTypeExport = (node: ts.ExportDeclaration): boolean =>
  node.isTypeOnly || (node.exportClause !== undefined && ts.isNamedExports(node.exportClause) && node.exportClause.elements.every((element) => element.isTypeOnly));

/** Reads one file; `path` is relative to the tree, as in `src/store/memory.ts`. */
export function readSource(path: string, text: string): SourceFile {
  const imports: Import[] = [];
  const looseExports: string[] = [];
  const add = (literal: ts.Node | undefined, typeOnly: boolean): void => {
    if (literal === undefined || !ts.isStringLiteralLike(literal)) return;
    const specifier = literal.text;
    const target = specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : undefined;
    imports.push({ from: path, specifier, target, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeClause(node.importClause));
    if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, isTypeExport(node));
      if (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause)) looseExports.push("export *");
    }
    if (ts.isExportAssignment(node)) looseExports.push("export default");
    if (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)) looseExports.push("export default");
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest));
  return { path, imports, looseExports, lines: text.split("\n").length - 1 };
}

/** Every circle of imports (type-only ones too), each as the path that closes it. */
export function findCycles(files: readonly SourceFile[]): string[] {
  const targets = new Map(files.map((file) => [file.path, file.imports.flatMap(({ target }) => target ?? [])]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path].join(" → "));
    if (start >= 0 || done.has(path)) return;
    for (const target of targets.get(path) ?? []) walk(target, [...trail, path]);
    done.add(path);
  };
  for (const path of targets.keys()) walk(path, []);
  return cycles;
}

/** `src/errors.ts` → `errors`, `src/store/memory.ts` → `store`. */
export const roomOf = (path: string): string => (path.split("/")[1] ?? "").replace(/\.ts$/u, "");

/** `@noble/hashes/sha2.js` → `@noble/hashes`. */
export const packageOf = (specifier: string): string => specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
