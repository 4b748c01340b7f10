// Command emoji trains and tests a CLIP on emoji in three styles, never split by random picture: two styles are trained on, the third is for tests, and whole
// subgroups are held out in all of them.
//
//	go run ./bench/clip/emoji prepare --data ../shared/data/images --out DIR
//	plinth train --family clip --size nano --data DIR/train.jsonl --group group --held DIR/dev.jsonl --ground ffffff,f0f0f0,d8e0f0 --truncate --out RUN
//	go run ./bench/clip/emoji test --data ../shared/data/images --out DIR --model RUN
//	go run ./bench/clip/emoji pixels --data ../shared/data/images --out DIR
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
)

var ctx = context.Background()

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "emoji:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("what shall be done: prepare, test or pixels")
	}
	f := flag.NewFlagSet("emoji", flag.ExitOnError)
	dataDir := f.String("data", "", "folder with noto-emoji, openmoji, twemoji and emoji-text")
	out := f.String("out", "", "folder that prepare writes and the others read")
	model := f.String("model", "", "test: folder of the model")
	shuffle := f.Bool("shuffle", false, "prepare: give every concept the captions of another one, the control")
	trial := f.Bool("trial", false, "prepare and test: a split without the test, by which a recipe is chosen")
	if err := f.Parse(os.Args[2:]); err != nil {
		return err
	}
	switch os.Args[1] {
	case "prepare":
		return prepare(*dataDir, *out, *shuffle, *trial)
	case "test":
		return test(os.Stdout, *dataDir, *out, *model, *trial)
	case "pixels":
		return pixels(os.Stdout, *dataDir, *out)
	}
	return fmt.Errorf("%q is none of prepare, test and pixels", os.Args[1])
}
