package split

import (
	"strings"
	"testing"
	"unicode"

	"github.com/plinth-ml/plinth/internal/testkit"
)

type peerJob struct {
	Engine string `json:"engine"`
	Regex  string `json:"regex"`
	Texts  int    `json:"texts"`

	pattern *Pattern
}

// checkPeer runs the jobs and compares all pieces.
func checkPeer(t *testing.T, texts []string, jobs []peerJob) {
	t.Helper()
	var got [][][]int // job, text, piece
	testkit.Ask(t, "testdata/pieces.py", []string{"tokenizers", "tiktoken"}, map[string]any{"texts": texts, "jobs": jobs}, &got)
	if len(got) != len(jobs) {
		t.Fatalf("%d answers to %d jobs", len(got), len(jobs))
	}
	for k, j := range jobs {
		if len(got[k]) != j.Texts {
			t.Fatalf("%s: %d answers for %d texts", j.Engine, len(got[k]), j.Texts)
		}
		bad := 0
		for i, lengths := range got[k] {
			var want []string
			at := 0
			for _, n := range lengths {
				want = append(want, texts[i][at:at+n])
				at += n
			}
			have, err := pieces(j.pattern, texts[i])
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(have, "\xff") != strings.Join(want, "\xff") {
				if bad++; bad <= 5 {
					t.Errorf("%s, %s: %q\n have %q\n want %q", j.Engine, j.Regex, texts[i], have, want)
				}
			}
		}
		if bad > 0 {
			t.Errorf("%s, %s: %d of %d texts differ", j.Engine, j.Regex, bad, j.Texts)
		}
	}
}

// TestPeers compares every known pattern in every spelling with the programs that use it.
func TestPeers(t *testing.T) {
	texts := randomTexts(peerTexts, 14, anyRune)
	var jobs []peerJob
	for _, p := range Known {
		if p == Llama3 { // CL100K's expression
			continue
		}
		for i, s := range append([]string{p.Regex}, p.same...) {
			n := peerTexts
			if i > 0 {
				n /= 4
			}
			// tokenizers' engine takes {1,3}+ for a repetition and $ for the end of a line.
			if !strings.Contains(s, `\s++$`) {
				jobs = append(jobs, peerJob{"tokenizers", s, n, p})
			}
			jobs = append(jobs, peerJob{"tiktoken", s, n / tiktokenShare, p})
		}
	}
	checkPeer(t, texts, jobs)
}

// TestPeersForeign compares expressions without a scanner.
func TestPeersForeign(t *testing.T) {
	texts := randomTexts(2000, 14, func(r rune) bool { return agreed(r) && (r < 0x80 || unicode.IsGraphic(r)) }) // not those new in 16
	var jobs []peerJob
	for _, s := range []string{
		`\p{N}{1,3}`, `[一-龥぀-ゟ゠-ヿ]+`, `[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, `[0-9][0-9][0-9]`, `(?=[A-Z])`,
		`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` + "`" + `{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	} {
		p, err := ByRegex(s)
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, peerJob{"tokenizers", s, len(texts), p})
	}
	checkPeer(t, texts, jobs)
}
