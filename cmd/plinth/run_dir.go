package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/train"
)

// checkRunDir refuses a directory for a run that holds one already, unless that is resumed, or a model that no run made there: it would be written over.
func checkRunDir(dir string, resume bool) error {
	holds := func(names ...string) bool {
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return true
			}
		}
		return false
	}
	switch {
	case holds(train.StateDir) && !resume:
		return fmt.Errorf("%s holds a run already: add --resume to go on with it, or choose another --out", dir)
	case !holds(train.StateDir, train.OptionsFile, recipeFile) && holds(modelFiles...):
		return fmt.Errorf("%s holds a model already, which would be written over: choose another --out", dir)
	}
	return nil
}

// modelFiles are those that a folder is told by to be a model.
var modelFiles = []string{"config.json", "open_clip_config.json"}
