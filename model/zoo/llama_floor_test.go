package zoo_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/testkit"
)

// floorSettings are ways to run the same file in llama.cpp. All are compared with the first.
var floorSettings = []struct {
	name string
	keys map[string]any
}{
	{"as Plinth: F32 cache, no flash attention, no repacking, one thread", map[string]any{}},
	{"the same again", map[string]any{}},
	{"prompt token by token", map[string]any{"chunk": 1}},
	{"repacked weights", map[string]any{"repack": true}},
	{"flash attention", map[string]any{"flash": true}},
	{"F16 cache", map[string]any{"cache": "f16"}},
	{"llama.cpp's defaults: F16 cache, flash attention, repacked weights", map[string]any{"cache": "f16", "flash": true, "repack": true}},
}

// parting is where a text leaves llama.cpp's of the first setting: see tools/golden/llama_greedy.py.
type parting struct {
	At                int
	Lead, Far, Before float64
}

// Greedy texts of Q8_0 are no better defined than this: llama.cpp with flash attention or with its own cache of F16 leaves its plain texts more often than Plinth does, and where its first
// choice leads by as much. What it repeats to the bit shows that the comparison can tell.
func TestLlamaFloor(t *testing.T) {
	lib, python := filepath.Dir(llamaTool(t, "llama-simple")), testkit.Python(t, "llama_cpp")
	path := filepath.Join(t.TempDir(), "m.gguf")
	writeBlocks(t, stories(t), path, checkpoint.Q8_0)
	ask := map[string]any{"file": path, "length": 256}
	var prompts, ours [][]int32
	for _, prompt := range slices.Concat(greedyPrompts, morePrompts) {
		ids, start := greedy(t, path, prompt, 256)
		prompts, ours = append(prompts, ids[:start]), append(ours, ids)
	}
	var settings []map[string]any
	for _, s := range floorSettings {
		settings = append(settings, s.keys)
	}
	ask["prompts"], ask["ours"], ask["settings"] = prompts, ours, settings
	in, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, filepath.Join(testkit.Root(), "tools", "golden", "llama_greedy.py"))
	cmd.Env, cmd.Stdin, cmd.Stderr = append(os.Environ(), "LLAMA_CPP_LIB_PATH="+lib), bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("llama_greedy.py: %v", err)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(lines) != len(settings)+1 {
		t.Fatalf("%d lines of answers, want %d", len(lines), len(settings)+1)
	}
	var widest, far float64 // lead where llama.cpp leaves itself; difference of its logits there
	fewest := len(prompts)  // of its texts that are equal under another setting
	for i, line := range lines {
		var parts []parting
		if err := json.Unmarshal(line, &parts); err != nil || len(parts) != len(prompts) {
			t.Fatalf("%d answers, want %d (%v)", len(parts), len(prompts), err)
		}
		name, equal := "Plinth", 0
		if i < len(settings) {
			name = floorSettings[i].name
		}
		var leads, fars []float64
		for _, p := range parts {
			if p.At < 0 {
				equal++
				continue
			}
			leads, fars = append(leads, p.Lead), append(fars, p.Far)
		}
		slices.Sort(leads)
		slices.Sort(fars)
		t.Logf("%s: %d of %d texts equal; leads where they part %.3f; logits apart there %.3f", name, equal, len(parts), leads, fars)
		switch {
		case i < 2 && equal != len(parts):
			t.Errorf("%s: llama.cpp does not repeat itself", name)
		case i < len(settings) && len(leads) > 0:
			widest, far = max(widest, leads[len(leads)-1]), max(far, fars[len(fars)-1])
		case i == len(settings) && (equal < fewest || len(leads) > 0 && leads[len(leads)-1] > far):
			t.Errorf("%d of Plinth's texts are equal, and part where llama.cpp's first choice leads by up to %g; of its own at least %d, where it leads by up to %g, its logits %g apart",
				equal, leads[len(leads)-1], fewest, widest, far)
		}
		if i < len(settings) {
			fewest = min(fewest, equal)
		}
	}
}

// morePrompts go with greedyPrompts.
var morePrompts = []string{"Once there was a", "A little boy", "Anna", "The big dog", "In the morning", "Max wanted to", "The princess", "One night", "Grandma made", "There lived a",
	"The rabbit", "Two friends", "\"Look\", she", "A frog", "At school", "The girl had", "It was cold", "A red car", "Ben and Mia", "The moon"}
