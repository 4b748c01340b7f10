package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
)

// TestKeys: sequences mean the same wherever a read cuts them.
func TestKeys(t *testing.T) {
	text := func(s string) string { return pasteStart + s + pasteEnd }
	for in, want := range map[string]string{
		"añ€\r":                                 text("a") + text("ñ") + text("€") + "\r",
		"a\n":                                   text("a") + "\r",
		"\r\n":                                  "\r",
		"\n\n":                                  "\r\r",
		"\t":                                    text("\uFDD1"),
		"\xf00\uFFFD\r":                         text("\uFDD20") + text("\uFDD2") + "\r",
		"\x1bOA\x1b[A":                          "\x1b[A\x1b[A",
		"\x1b[1~\x1b[4~":                        "\x1b[H\x1b[F",
		"\x1b[1;5C\x1bb":                        "\x1b[1;3C\x1b[1;3D",
		"\x1b[15~\x1b[?25h\x1b[<0;1;1M\a":       "",
		"\x1b\x1b\x03":                          "\x03",
		"\x1bé":                                 "",
		"\x1b[\r":                               "\r",
		"\x1b[" + strings.Repeat("1", 62):       "",
		"\x1b[200~\x01\x1b[A\x1b[201~\x01":      "\x01",
		"\x1b[200~a\r\nb\rc\n\x1b[201~\r":       text("a") + text("\uFDD0") + text("b") + text("\uFDD0") + text("c") + text("\uFDD0") + "\r",
		"\x1b[200~a\x03\r":                      text("a") + "\x03\r",
		"\uFDD0\u0085":                          "",
		"\x1b[200~\x1b]8;;x\x1b\\y\x1b[201~":    text("8") + text(";") + text(";") + text("x") + text("y"),
		"\x1b[200~\x1b[31mred\x1b[0m\x1b[201~.": text("r") + text("e") + text("d") + text("."),
	} {
		var k keyboard
		var got strings.Builder
		for i := range len(in) {
			got.WriteString(strings.Join(k.feed([]byte{in[i]}), ""))
		}
		if got.String() != want {
			t.Errorf("%q, byte by byte: %q, want %q", in, got.String(), want)
		}
		var whole keyboard
		join := strings.NewReplacer(pasteEnd+pasteStart, "").Replace
		if got := strings.Join(whole.feed([]byte(in)), ""); join(got) != join(want) {
			t.Errorf("%q at once: %q, want %q", in, got, want)
		}
	}
	if got := plainText("a\x1b[31mb\x00\n\tc\x1b"); got != "ab\n\tc" {
		t.Errorf("plain text %q", got)
	}
}

// TestEditorLong: a paste longer than the line editor's bound for typed text comes whole; the end of the input is one.
func TestEditorLong(t *testing.T) {
	long := strings.Repeat("é\t", 9000)
	e := &editor{ctx: context.Background(), screen: io.Discard, wake: make(chan struct{}, 1)}
	e.renew()
	var k keyboard
	e.push(false, k.feed([]byte(long+"\r"+pasteStart+long+"\n"+long+pasteEnd+"\rend")), io.EOF)
	if text, err := e.line("> "); text != long || err != nil {
		t.Errorf("typed: %d characters, %v", len(text), err)
	}
	if text, err := e.line("> "); text != long+"\n"+long || err != nil {
		t.Errorf("pasted: %d characters, %v", len(text), err)
	}
	if _, err := e.line("> "); err != io.EOF {
		t.Errorf("behind it %v", err)
	}
}

// TestEditorCtrlC: during an answer it is the answer's, and what was typed before it goes; at the prompt it ends the line.
func TestEditorCtrlC(t *testing.T) {
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	answering, pressed := true, make(chan bool, 1)
	e := &editor{ctx: context.Background(), in: in, screen: io.Discard, wake: make(chan struct{}, 1), onCtrlC: func() bool {
		defer func() { answering = false; pressed <- true }()
		return answering
	}}
	e.renew()
	go e.pump()
	io.WriteString(typed, "gone\rgone\x03")
	<-pressed
	io.WriteString(typed, "one\rtwo\x03\x03three")
	typed.Close()
	for _, want := range []struct {
		text string
		err  error
	}{{"one", nil}, {"two", errCtrlC}, {"", errCtrlC}, {"", io.EOF}, {"", io.EOF}} {
		if text, err := e.line("> "); text != want.text || err != want.err {
			t.Errorf("%q, %v, want %q, %v", text, err, want.text, want.err)
		}
		if want.err == nil {
			<-pressed
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("a\x1b[A\x1b[200~x\ry\x1b[201~\x03\r"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var k keyboard
		tokens := k.feed(in)
		for _, token := range tokens {
			text, ok := strings.CutSuffix(strings.TrimPrefix(token, pasteStart), pasteEnd)
			if ok && plainText(heldText.Replace(text)) != heldText.Replace(text) {
				t.Fatalf("%q from %q", token, in)
			}
		}
		if len(k.rest) > 66 {
			t.Fatalf("%d bytes wait", len(k.rest))
		}
		e := &editor{ctx: context.Background(), screen: io.Discard, wake: make(chan struct{}, 1)}
		e.renew()
		e.push(false, append(tokens, "\r"), errExit)
		for range len(in) + 1 {
			if text, err := e.line(""); plainText(text) != text {
				t.Fatalf("%q, %v from %q", text, err, in)
			} else if err == errExit {
				return
			}
		}
		if _, err := e.line(""); err != errExit {
			t.Fatalf("%v at the end of %q", err, in)
		}
	})
}
