package task_test

import (
	"fmt"

	"github.com/plinth-ml/plinth/eval/task"
)

func Example() {
	gold := [][]string{{"B-PER", "I-PER", "O", "B-LOC"}}
	predicted := [][]string{{"B-PER", "I-PER", "O", "O"}}
	s, err := task.Tags(gold, predicted, "IOB2")
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.3f of %v\n", s.Averages.Micro.F1, s.Types)
	// Output: 0.667 of [LOC PER]
}
