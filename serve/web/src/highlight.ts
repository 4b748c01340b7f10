// Light colouring of code: comments, texts, numbers and the words that most languages keep for themselves.

export type Kind = "comment" | "string" | "number" | "keyword" | "";

const words =
  "abstract and as assert async await bool break case catch chan char class const constexpr continue def default defer del delete do double elif else end enum except export extends extern false final finally float fn for foreach from func function global go goto if impl implements import in include instanceof int interface is lambda let local long loop map match mod module move mut namespace new nil None not null nullptr operator or override package pass priv private protected pub public raise range ref return select self short signed sizeof static string struct super switch template then this throw throws trait True False true try type typedef typename typeof undefined union unless unsafe unsigned until use using var virtual void volatile when where while with yield";
const sql = "add all alter and as asc between by create delete desc distinct drop exists from group having in index inner insert into is join key left like limit not null on or order outer primary select set table union unique update values view where with";
const keywords = new Set(words.split(" "));
const sqlWords = new Set(sql.split(" "));

const hash = "#[^\\n]*";
const slashes = "//[^\\n]*|/\\*[^]*?(?:\\*/|$)";
const dashes = "--[^\\n]*";
const comments: Record<string, string> = { sql: dashes, lua: dashes, haskell: dashes, hs: dashes, lisp: ";[^\\n]*", html: "<!--[^]*?(?:-->|$)", xml: "<!--[^]*?(?:-->|$)", json: "(?!)", tex: "%[^\\n]*", latex: "%[^\\n]*" };
for (const lang of "python py ruby rb sh bash shell zsh yaml yml toml perl pl r julia jl make makefile dockerfile nix elixir conf ini".split(" ")) comments[lang] = hash;

/** Splits code into coloured pieces. The pieces together are the code. */
export function highlight(code: string, lang: string): [Kind, string][] {
  const name = lang.toLowerCase();
  if (["text", "txt", "plain", "console", "output"].includes(name) || code.length > 200_000) return [["", code]];
  const comment = comments[name] ?? slashes;
  const strings = `"""[^]*?(?:"""|$)|"(?:[^"\\\\\\n]|\\\\.)*"?|'(?:[^'\\\\\\n]|\\\\.)*'|\`[^\`]*\``;
  const piece = new RegExp(`(${comment})|(${strings})|(\\b(?:0[xXbBoO][\\da-fA-F_]+|\\d[\\d_]*(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)\\b)|([A-Za-z_]\\w*)`, "g");
  const isKeyword = name === "sql" ? (w: string) => sqlWords.has(w.toLowerCase()) : (w: string) => keywords.has(w);
  const out: [Kind, string][] = [];
  let plain = "";
  const push = (kind: Kind, text: string) => {
    if (kind === "") {
      plain += text;
      return;
    }
    if (plain) out.push(["", plain]);
    plain = "";
    out.push([kind, text]);
  };
  let at = 0;
  for (const m of code.matchAll(piece)) {
    if (m[0] === "") continue;
    push("", code.slice(at, m.index));
    push(m[1] !== undefined ? "comment" : m[2] !== undefined ? "string" : m[3] !== undefined ? "number" : isKeyword(m[0]) ? "keyword" : "", m[0]);
    at = m.index + m[0].length;
  }
  push("", code.slice(at));
  if (plain) out.push(["", plain]);
  return out;
}
