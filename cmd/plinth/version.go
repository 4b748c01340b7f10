package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
)

type versionCmd struct{}

func (versionCmd) Help() string { return `Example: plinth version --json` }

func (versionCmd) Run(c *common) error {
	v := struct {
		Version  string   `json:"version"`
		Commit   string   `json:"commit"`
		Go       string   `json:"go"`
		OS       string   `json:"os"`
		Arch     string   `json:"arch"`
		CPUs     int      `json:"cpus"`
		Kernels  string   `json:"kernels"`
		Variants []string `json:"variants"`
	}{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(),
		Kernels: c.kernels().Name, Variants: cpu.Variants()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	return c.finish(v, fmt.Sprintf("plinth %s %s\n%s %s/%s, %d CPUs\nkernels %s; usable here: %s\n",
		v.Version, v.Commit, v.Go, v.OS, v.Arch, v.CPUs, v.Kernels, strings.Join(v.Variants, ", ")))
}
