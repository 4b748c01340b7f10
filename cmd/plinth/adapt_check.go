package main

import (
	"slices"
	"strings"
)

// adaptOnly says which flags of adapt mean something only where another flag has a value.
var adaptOnly = []struct {
	flags, with string
	fits        func(*adaptCmd) bool
}{
	{"rank alpha dropout targets", "--method lora, and for a curve of lora", func(a *adaptCmd) bool {
		return a.Method == "lora" || a.Curve != nil && slices.Contains(a.CurveOf, "lora")
	}},
	{"curve-draws curve-steps curve-rates curve-of", "--curve", func(a *adaptCmd) bool { return a.Curve != nil }},
	{"teacher-temperature teacher-weight", "--teacher", func(a *adaptCmd) bool { return a.Teacher != "" }},
	{"pool head multi", "--task classify", ofTasks("classify")},
	{"label", "--task classify, tag and regress", ofTasks("classify", "tag", "regress")},
	{"pair", "--task classify, regress and embed", ofTasks("classify", "regress", "embed")},
	{"text", "all tasks but qa, which has --context-column", ofTasks("classify", "tag", "summarize", "regress", "embed")},
	{"scheme", "--task tag", ofTasks("tag")},
	{"stride", "--task tag and qa", ofTasks("tag", "qa")},
	{"question-column context-column answer-column window max-answer n-best", "--task qa", ofTasks("qa")},
	{"summary prefix max-source max-tokens beams", "--task summarize", ofTasks("summarize")},
	{"negative score", "--task embed", ofTasks("embed")},
}

// ofTasks fits runs of some tasks.
func ofTasks(names ...string) func(*adaptCmd) bool {
	return func(a *adaptCmd) bool { return slices.Contains(names, a.Task) }
}

// checkGiven refuses flags that the command line has and the run would not look at.
func (a *adaptCmd) checkGiven(given map[string]bool) error {
	for _, only := range adaptOnly {
		for _, flag := range strings.Fields(only.flags) {
			if given[flag] && !only.fits(a) {
				return usagef("--%s is for %s", flag, only.with)
			}
		}
	}
	return nil
}

// checkLength refuses numbers that no run can be as long as.
func (a *adaptCmd) checkLength() error {
	switch {
	case !(a.Epochs > 0):
		return usagef("--epochs is %v: want a number above 0", a.Epochs)
	case a.Steps < 0:
		return usagef("--steps is %d: want 1 at least, or 0 for what --epochs says", a.Steps)
	case a.Batch < 1:
		return usagef("--batch is %d: want 1 at least", a.Batch)
	case a.Patience < 0:
		return usagef("--patience is %d: want 1 at least, or 0 for none", a.Patience)
	case !(a.LR >= 0):
		return usagef("--lr is %v: want a number above 0, or 0 for the default", a.LR)
	}
	return nil
}
