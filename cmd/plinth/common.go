package main

import (
	"encoding/json"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
)

// maxText bounds what a verb reads whole: a template, a grammar, a conversation, the text of standard input.
const maxText = 256 << 20

// kernels returns the kernel set of this run.
func (c *common) kernels() *kernel.Set { return cpu.New(cpu.Options{Threads: c.Threads}) }

// say writes a line of progress or explanation to stderr.
func (c *common) say(format string, args ...any) { fmt.Fprintf(c.err, format+"\n", args...) }

// finish prints the result: the object with --json, otherwise the text.
func (c *common) finish(object any, text string) error {
	if !c.JSON {
		_, err := fmt.Fprint(c.out, text)
		return err
	}
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	return e.Encode(object)
}

// plural writes a number of things.
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// count writes a number with its unit of thousands: 1.33 M.
func count[T int | int64 | float64](n T) string {
	v := float64(n)
	for _, u := range []struct {
		at   float64
		name string
	}{{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= u.at {
			return fmt.Sprintf("%.4g %s", v/u.at, u.name)
		}
	}
	return fmt.Sprintf("%.4g", v)
}

// given are the names of the flags that the command line or a recipe has.
func given(line *kong.Context) map[string]bool {
	names := map[string]bool{}
	for _, p := range line.Path {
		if p.Flag != nil {
			names[p.Flag.Name] = true
		}
	}
	return names
}
