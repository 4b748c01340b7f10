package quickstart_test

import (
	"context"
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/quickstart"
)

// The story on a folder of one's own text; it takes about two minutes and is therefore not run by the tests.
func ExampleRun() {
	r, err := quickstart.Run(context.Background(), quickstart.Options{Data: []string{"docs"}, Out: "runs/docs", Seed: 1, Kernels: cpu.New(cpu.Options{})})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.ValBitsPerByte, r.Report)
}
