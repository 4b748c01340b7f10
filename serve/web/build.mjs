// Builds the page: src into dist, which the Go program embeds. With --test it bundles the unit tests into build instead, for node's test runner.
import * as esbuild from "esbuild";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const common = { bundle: true, jsx: "automatic", jsxImportSource: "preact", target: "es2022", logLevel: "warning" };

/** The SHA-256 of what dist is made of, as serve/web_test.go computes it: of every file its name, its length and its bytes, lines ending in \n. */
function sourcesHash() {
  const hash = createHash("sha256");
  const files = readdirSync("src").map((name) => "src/" + name);
  for (const name of [...files, "build.mjs", "package-lock.json", "tsconfig.json"].sort()) {
    const text = readFileSync(name, "utf8").replaceAll("\r\n", "\n");
    hash.update(`${name} ${Buffer.byteLength(text)}\n`).update(text);
  }
  return hash.digest("hex") + "\n";
}

if (process.argv.includes("--test")) {
  rmSync("build", { recursive: true, force: true });
  const entryPoints = readdirSync("src").filter((name) => name.endsWith(".test.ts")).map((name) => "src/" + name);
  await esbuild.build({ ...common, entryPoints, outdir: "build", outExtension: { ".js": ".mjs" }, platform: "node", format: "esm" });
} else {
  rmSync("dist", { recursive: true, force: true });
  mkdirSync("dist");
  await esbuild.build({ ...common, entryPoints: ["src/app.tsx"], outfile: "dist/app.js", format: "esm", minify: true, legalComments: "none" });
  await esbuild.build({ ...common, entryPoints: ["src/app.css"], outfile: "dist/app.css", minify: true });
  for (const name of ["index.html", "icon.svg"]) copyFileSync("src/" + name, "dist/" + name);
  writeFileSync("dist/sources.sha256", sourcesHash());
}
