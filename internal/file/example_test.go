package file_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/internal/file"
)

func Example() {
	top, err := os.MkdirTemp("", "file")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(top)
	dir := filepath.Join(top, "step-100")
	err = file.WriteDirAtomic(dir, func(tmp string) error {
		return os.WriteFile(filepath.Join(tmp, "weights"), []byte("0123456789"), 0o644)
	})
	fmt.Println(err, file.VerifyDir(dir))

	err = os.Truncate(filepath.Join(dir, "weights"), 4)
	fmt.Println(err)
	var damage *file.DamageError
	if errors.As(file.VerifyDir(dir), &damage) {
		fmt.Println(damage.File, damage.What)
	}
	// Output:
	// <nil> <nil>
	// <nil>
	// weights has 4 bytes, want 10
}
