// Command serve measures a server of models: tokens per second for one user and for several, beside the bare engine and beside llama-server on the same
// file; overload; clients that go away; hours of mixed requests.
//
//	go build -o /tmp/plinth ./cmd/plinth && go build -o /tmp/serve ./bench/serve
//	/tmp/serve --plinth /tmp/plinth --peer llama.cpp/bin/llama-server model.gguf        A B C A B C
//	/tmp/serve --plinth /tmp/plinth --mode overhead --rounds 20 model.gguf
//	/tmp/serve --plinth /tmp/plinth --mode overload --for 5m model.gguf
//	/tmp/serve --plinth /tmp/plinth --mode leave --count 10000 model.gguf
//	/tmp/serve --plinth /tmp/plinth --mode soak --for 20m --adapter DIR model.gguf
//
// All requests go to servers that it starts itself, on loopback. Weights may be random: the speed does not depend on them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"time"
)

type options struct {
	plinth, peer, mode      string
	users                   []int
	tokens, prompt, rounds  int
	threads, slots, context int
	count                   int
	length, pause           time.Duration
	adapter                 string
	file                    string
}

func main() {
	var o options
	users := flag.String("users", "1,8", "users at once; the first number is what the others are compared with")
	flag.StringVar(&o.plinth, "plinth", "plinth", "the program to serve with")
	flag.StringVar(&o.peer, "peer", "", "path of llama-server; no peer when empty")
	flag.StringVar(&o.mode, "mode", "speed", "speed, overhead, overload, leave or soak")
	flag.IntVar(&o.tokens, "tokens", 64, "tokens of an answer")
	flag.IntVar(&o.prompt, "prompt", 24, "words of a prompt")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds in turns (speed, overhead)")
	flag.IntVar(&o.threads, "threads", runtime.GOMAXPROCS(0), "threads of every side")
	flag.IntVar(&o.slots, "slots", 8, "sequences that a server computes at once")
	flag.IntVar(&o.context, "context", 512, "tokens of a sequence")
	flag.IntVar(&o.count, "count", 10000, "clients that go away (leave)")
	flag.DurationVar(&o.pause, "pause", 0, "mean pause of a user between two requests (soak)")
	flag.StringVar(&o.adapter, "adapter", "", "folder of a LoRA adapter, which some requests ask for (soak)")
	flag.DurationVar(&o.length, "for", 5*time.Minute, "length of overload and soak")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, *users); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, users string) error {
	for s := range strings.SplitSeq(users, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("serve: --users %q: want numbers such as 1,8", users)
		}
		o.users = append(o.users, n)
	}
	if flag.NArg() != 1 {
		return fmt.Errorf("serve: want one GGUF file, have %d arguments", flag.NArg())
	}
	o.file = flag.Arg(0)
	modes := map[string]func(context.Context, options) error{"speed": speed, "overhead": overhead, "overload": overload, "leave": leave, "soak": soak}
	f := modes[o.mode]
	if f == nil {
		return fmt.Errorf("serve: --mode %q is not speed, overhead, overload, leave or soak", o.mode)
	}
	return f(ctx, o)
}
