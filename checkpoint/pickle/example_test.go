package pickle_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/checkpoint/pickle"
)

func Example() {
	path := filepath.Join(os.TempDir(), "plinth-example-evil.bin")
	os.WriteFile(path, []byte("cposix\nsystem\n(S'rm -rf /'\ntR."), 0o600)
	defer os.Remove(path)
	_, err := pickle.Open(path)
	fmt.Println(err.Error()[len("pickle: ")+len(path):])
	// Output:
	// : is neither a zip archive nor an older PyTorch file: byte 14: "posix.system" is not allowed: only tensors are read from a pickle
}
