package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/quickstart"
)

type quickstartCmd struct {
	Data []string `help:"Files and folders of text; without it Go's own source. Folders just below the one given serve as classes." placeholder:"PATH"`
	Out  string   `help:"Run directory; default: runs/quickstart, or the next free runs/quickstart-N." placeholder:"DIR"`
}

func (*quickstartCmd) Help() string {
	return "Pre-trains a small GPT, adapts it with few labels, compares with doing without, writes a model folder and a report. Example: plinth quickstart"
}

func (q *quickstartCmd) Run(ctx context.Context, c *common) error {
	if q.Out == "" {
		var err error
		if q.Out, err = quickstart.FreeDir("runs/quickstart"); err != nil {
			return err
		}
	}
	r, err := quickstart.Run(ctx, quickstart.Options{Data: q.Data, Out: q.Out, Seed: c.Seed, Kernels: c.kernels(), PeakFLOPs: cpu.PeakFLOPs(cpu.Options{Threads: c.Threads}, peakTime),
		Say: func(line string) { c.say("%s", line) }, Event: newProgress(c.err).event})
	if err != nil {
		return err
	}
	return c.finish(r, fmt.Sprintf("\nDone in %.0f s. Model: %s   Report: %s\nTry next:\n  %s\n", r.Seconds, r.RunDir, r.Report, strings.ReplaceAll(r.Next(), "\n", "\n  ")))
}
