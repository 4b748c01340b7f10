// Command load measures what passes between a start of the program and its first token, beside what the same prefill takes once all is warm, and the most
// memory that was resident by then beside the size of the file.
//
//	go build -o /tmp/load ./bench/load
//	/tmp/load --runs 5 model.gguf ...
//
// Every run is a process of its own (the program calls itself), after a first one that brings the file into the page cache and does not count.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/zoo"
)

// phases are seconds of one run, and bytes resident at most after the first token.
type phases struct {
	Model, Tokenizer, Engine, First, Warm float64
	Resident                              float64
	Anonymous                             float64 // of these, at the end, what is no page of a file
}

func main() {
	runs := flag.Int("runs", 5, "processes measured")
	prompt := flag.String("prompt", "Once upon a time", "text of the prompt")
	child := flag.Bool("child", false, "be one run: what the program says to itself")
	flag.Parse()
	for _, path := range flag.Args() {
		var err error
		if *child {
			err = run(path, *prompt)
		} else {
			err = measure(path, *prompt, *runs)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// measure runs processes and prints medians.
func measure(path, prompt string, runs int) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var all []phases
	var wall []float64
	for i := range runs + 1 {
		start := time.Now()
		out, err := exec.Command(self, "--child", "--prompt", prompt, path).Output()
		if err != nil {
			return fmt.Errorf("load: %s: %w", path, err)
		}
		var p phases
		if err := json.Unmarshal(out, &p); err != nil {
			return fmt.Errorf("load: %s: %w", path, err)
		}
		if i > 0 {
			all, wall = append(all, p), append(wall, time.Since(start).Seconds()-p.Warm) // the warm prefill is not part of it
		}
	}
	median := func(of func(p phases) float64) float64 {
		var v []float64
		for _, p := range all {
			v = append(v, of(p))
		}
		return bench.Quantile(v, 0.5)
	}
	ms := func(of func(p phases) float64) float64 { return 1e3 * median(of) }
	warm := ms(func(p phases) float64 { return p.Warm })
	load := ms(func(p phases) float64 { return p.Model + p.Tokenizer + p.Engine + p.First - p.Warm })
	resident := median(func(p phases) float64 { return p.Resident })
	fmt.Printf("%s: model %.1f ms, tokenizer %.1f, engine %.1f, first token %.1f (warm %.1f): %.1f + prefill; whole process %.1f + prefill\n", filepath.Base(path),
		ms(func(p phases) float64 { return p.Model }), ms(func(p phases) float64 { return p.Tokenizer }), ms(func(p phases) float64 { return p.Engine }),
		ms(func(p phases) float64 { return p.First }), warm, load, 1e3*bench.Quantile(wall, 0.5)-warm)
	fmt.Printf("  file %.1f MB, resident at most %.1f (%+.1f %%), of which %.1f belong to no file\n", float64(info.Size())/1e6, resident/1e6,
		100*(resident/float64(info.Size())-1), median(func(p phases) float64 { return p.Anonymous })/1e6)
	return nil
}

// run opens a model, writes one token, and prints what it took.
func run(path, prompt string) error {
	var p phases
	last := time.Now()
	lap := func(to *float64) {
		now := time.Now()
		*to = now.Sub(last).Seconds()
		last = now
	}
	go cpu.Prepare() // as the verbs do
	m, err := zoo.Open(path, zoo.Options{})
	if err != nil {
		return err
	}
	lap(&p.Model)
	tok, err := zoo.Tokenizer(path, m)
	if err != nil {
		return err
	}
	ids := tok.Encode(prompt)
	lap(&p.Tokenizer)
	e := generate.New(m, cpu.New(cpu.Options{}), generate.EngineOptions{Slots: 1})
	lap(&p.Engine)
	ask := func() error {
		_, err := e.Generate(context.Background(), []generate.Request{{Prompt: ids, Options: generate.Options{MaxTokens: 1}}}, nil)
		return err
	}
	if err := ask(); err != nil {
		return err
	}
	lap(&p.First)
	if p.Resident, p.Anonymous, err = resident(); err != nil {
		return err
	}
	for i := range ids { // another prompt of the same length, lest the cache know it
		ids[i] = (ids[i]*31 + 17) % int32(m.Sizes().Vocab)
	}
	last = time.Now()
	if err := ask(); err != nil {
		return err
	}
	lap(&p.Warm)
	return json.NewEncoder(os.Stdout).Encode(p)
}

// resident reads the most bytes that were resident, and those now that belong to no file, as Linux counts them.
func resident() (most, anonymous float64, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	field := func(name string) (kB float64) {
		_, rest, _ := strings.Cut(string(status), name+":")
		fmt.Sscan(rest, &kB)
		return kB
	}
	return 1024 * field("VmHWM"), 1024 * field("RssAnon"), nil
}
