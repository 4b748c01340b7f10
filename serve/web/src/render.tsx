// Trees of Markdown and maths as elements. Text goes in as text nodes only: nothing that a model writes is ever read as markup.
import { createElement, type ComponentChildren, type VNode } from "preact";
import { useMemo, useState } from "preact/hooks";
import { highlight } from "./highlight.ts";
import { t } from "./i18n.ts";
import { parse, type Block, type Inline } from "./markdown.ts";
import { maths, type Maths } from "./tex.ts";

function mathElement(m: Maths): VNode {
  return createElement(m.tag, m.attrs ?? {}, ...m.c.map((c) => (typeof c === "string" ? c : mathElement(c))));
}

function Formula({ source, display }: { source: string; display: boolean }) {
  const tree = useMemo(() => maths(source, display), [source, display]);
  return tree ? mathElement(tree) : <code class="formula">{source}</code>;
}

function spans(list: Inline[]): ComponentChildren {
  return list.map((n) => {
    switch (n.t) {
      case "text":
        return n.v;
      case "code":
        return <code>{n.v}</code>;
      case "math":
        return <Formula source={n.v} display={n.display} />;
      case "em":
        return <em>{spans(n.c)}</em>;
      case "strong":
        return <strong>{spans(n.c)}</strong>;
      case "del":
        return <del>{spans(n.c)}</del>;
      case "link":
        return <a href={n.href} target="_blank" rel="noopener noreferrer nofollow">{spans(n.c)}</a>;
      case "br":
        return <br />;
    }
  });
}

export function copyText(text: string): Promise<void> {
  return navigator.clipboard ? navigator.clipboard.writeText(text) : Promise.reject(new Error("no clipboard"));
}

/** A button that copies a text and says that it did. */
export function Copy({ text, label }: { text: string; label?: string }) {
  const [said, say] = useState("");
  const copy = () => {
    copyText(text).then(() => say(t("copied")), () => say(t("notCopied")));
    setTimeout(() => say(""), 1500);
  };
  return <button class="quiet" onClick={copy}>{said || label || t("copy")}</button>;
}

/** A text in the colours of a language, under a head that says what it is. */
export function Code({ lang, text, head = lang }: { lang: string; text: string; head?: string }) {
  const pieces = useMemo(() => highlight(text, lang), [text, lang]);
  return (
    <div class="code">
      <div class="code-head"><span>{head}</span><Copy text={text} /></div>
      <pre tabIndex={0}><code>{pieces.map(([kind, piece]) => (kind ? <span class={"hl-" + kind}>{piece}</span> : piece))}</code></pre>
    </div>
  );
}

function elements(list: Block[]): ComponentChildren {
  return list.map((b) => {
    switch (b.t) {
      case "p":
        return <p>{spans(b.c)}</p>;
      case "h":
        return createElement("h" + Math.min(6, b.level + 1), {}, spans(b.c));
      case "code":
        return <Code lang={b.lang} text={b.v} />;
      case "math":
        return <div class="maths"><Formula source={b.v} display={true} /></div>;
      case "quote":
        return <blockquote>{elements(b.b)}</blockquote>;
      case "list": {
        const items = b.items.map((i) => <li>{i.length === 1 && i[0]!.t === "p" ? spans(i[0]!.c) : elements(i)}</li>);
        return b.start === undefined ? <ul>{items}</ul> : <ol start={b.start}>{items}</ol>;
      }
      case "table":
        return (
          <div class="table"><table>
            <thead><tr>{b.head.map((c, i) => <th class={b.align[i]}>{spans(c)}</th>)}</tr></thead>
            <tbody>{b.rows.map((r) => <tr>{r.map((c, i) => <td class={b.align[i]}>{spans(c)}</td>)}</tr>)}</tbody>
          </table></div>
        );
      case "hr":
        return <hr />;
    }
  });
}

/** A text of a model, shown as the Markdown that it is. */
export function Markdown({ text }: { text: string }) {
  const tree = useMemo(() => parse(text), [text]);
  return <div class="md">{elements(tree)}</div>;
}
