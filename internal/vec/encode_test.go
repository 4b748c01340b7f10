package vec

import (
	"encoding/binary"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestEncodings: instructions written as numbers are those that their comments say. A disassembler is the judge.
func TestEncodings(t *testing.T) {
	objdump, err := exec.LookPath("aarch64-linux-gnu-objdump")
	if err != nil {
		t.Skip("no aarch64-linux-gnu-objdump on this machine")
	}
	headers, err := filepath.Glob("../*/*_arm64.h")
	if err != nil || len(headers) < 2 {
		t.Fatalf("headers %v, error %v", headers, err)
	}
	define := regexp.MustCompile(`(?m)^#define (\w+)\(([\w, ]+)\) WORD \$\((.*)\) // (.*)$`)
	var code []byte
	var names, want []string
	for _, h := range headers {
		text, err := os.ReadFile(h)
		if err != nil {
			t.Fatal(err)
		}
		found := define.FindAllStringSubmatch(string(text), -1)
		if len(found) != strings.Count(string(text), "WORD") {
			t.Fatalf("%s: %d definitions have the form of the others", h, len(found))
		}
		for _, f := range found {
			for _, args := range []map[string]int{{"m": 1, "n": 2, "d": 3, "i": 1, "c": 0}, {"m": 30, "n": 21, "d": 31, "i": 23, "c": 1760}} {
				expr, asm := f[3], f[4]
				for _, p := range strings.Split(f[2], ", ") {
					v := strconv.Itoa(args[p])
					expr = strings.ReplaceAll(expr, "("+p+")", v)
					asm = regexp.MustCompile(`\b([vsdq])`+p+`\b`).ReplaceAllString(asm, "${1}"+v)
					asm = regexp.MustCompile(`#`+p+`\b`).ReplaceAllString(asm, "#"+v)
				}
				word, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expr)
				if err != nil {
					t.Fatalf("%s: %s: %v", h, f[1], err)
				}
				n, err := strconv.ParseUint(word.Value.ExactString(), 10, 32)
				if err != nil {
					t.Fatalf("%s: %s: %v", h, f[1], err)
				}
				code = binary.LittleEndian.AppendUint32(code, uint32(n))
				names = append(names, filepath.Base(filepath.Dir(h))+" "+f[1])
				want = append(want, strings.Replace(asm, ", #0]", "]", 1))
			}
		}
	}
	file := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "aarch64", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`(?m)^ +[0-9a-f]+:\t[0-9a-f]{8} \t(.*)$`).FindAllStringSubmatch(string(out), -1)
	if len(got) != len(want) {
		t.Fatalf("%d instructions out of %d words:\n%s", len(got), len(want), out)
	}
	for i, w := range want {
		if g := strings.Join(strings.Fields(got[i][1]), " "); g != w {
			t.Errorf("%s: it is %q, its comment says %q", names[i], g, w)
		}
	}
	t.Logf("%d words", len(want))
}
