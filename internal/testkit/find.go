package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Root returns the folder of go.mod, found by walking up from the working folder
// (that of the package under test). It panics outside a module.
func Root() string {
	start, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("testkit: no go.mod above " + start)
		}
	}
}

// Data returns the path of a file or folder of the shared test data, given with
// forward slashes: below $PLINTH_DATA or, where that is not set, below
// ../shared/data as seen from Root. It skips the test when the path is absent.
func Data(t testing.TB, rel string) string {
	t.Helper()
	base := os.Getenv("PLINTH_DATA")
	if base == "" {
		base = filepath.Join(Root(), "..", "shared", "data")
	}
	path := filepath.Join(base, filepath.FromSlash(rel))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("test data absent (PLINTH_DATA names its folder): %v", err)
	}
	return path
}

// pythons remembers, per list of modules, what findPython said.
var pythons sync.Map

// Python returns a Python interpreter that has the modules: $PLINTH_PYTHON or,
// where that is not set, python3. It skips the test when there is none. Modules
// are looked up, not imported.
func Python(t testing.TB, modules ...string) string {
	t.Helper()
	key := os.Getenv("PLINTH_PYTHON") + " " + strings.Join(modules, " ")
	find, _ := pythons.LoadOrStore(key, sync.OnceValues(func() (string, error) { return findPython(modules) }))
	path, err := find.(func() (string, error))()
	if err != nil {
		t.Skipf("no Python with %s (PLINTH_PYTHON names one): %v", strings.Join(modules, ", "), err)
	}
	return path
}

func findPython(modules []string) (string, error) {
	name := os.Getenv("PLINTH_PYTHON")
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	const script = "import sys, importlib.util as u; print(*[m for m in sys.argv[1:] if u.find_spec(m) is None])"
	out, err := exec.Command(path, append([]string{"-c", script}, modules...)...).Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if missing := strings.TrimSpace(string(out)); missing != "" {
		return "", fmt.Errorf("%s lacks %s", path, missing)
	}
	return path, nil
}
