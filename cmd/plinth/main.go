// Plinth pre-trains a foundation model, adapts it, evaluates it and uses it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/plinth-ml/plinth/chat"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 128 // plus the signal: 130 for Ctrl-C, 143 for SIGTERM
)

// cli is the command line: one field per verb, each in its own file.
type cli struct {
	Quickstart quickstartCmd `cmd:"" help:"The whole life cycle of a foundation model on this machine in about two minutes."`
	Tokenizer  tokenizerCmd  `cmd:"" help:"Train a tokenizer, encode and decode with it."`
	Data       dataCmd       `cmd:"" help:"Prepare text for training."`
	Train      trainCmd      `cmd:"" help:"Pre-train a model."`
	Scale      scaleCmd      `cmd:"" help:"Scaling laws: train a ladder of models, fit, plan, draw."`
	Adapt      adaptCmd      `cmd:"" help:"Turn a pre-trained model into one for a task, from labelled examples."`
	Classify   classifyCmd   `cmd:"" help:"Label texts with an adapted model, and texts or pictures by labels of your own."`
	Tag        tagCmd        `cmd:"" help:"Find names and other entities in texts with an adapted model."`
	Ask        askCmd        `cmd:"" help:"Find the answers to questions in a text with an adapted model."`
	Summarize  summarizeCmd  `cmd:"" help:"Write summaries of texts, and score them."`
	Search     searchCmd     `cmd:"" help:"Find pictures by words or by a picture, and passages of texts by what they mean."`
	Embed      embedCmd      `cmd:"" help:"Vectors of texts, and of pictures."`
	Generate   generateCmd   `cmd:"" help:"Write text with a model."`
	Chat       chatCmd       `cmd:"" help:"Talk with a model."`
	Serve      serveCmd      `cmd:"" help:"Serve models over HTTP, as OpenAI's servers do."`
	Eval       evalCmd       `cmd:"" help:"Perplexity and bits per byte of a model on text, and scores of tasks."`
	Bench      benchCmd      `cmd:"" help:"Measure this machine's ceilings and how near the kernels come to them."`
	Convert    convertCmd    `cmd:"" help:"A model folder to a GGUF file, or back."`
	Quantize   quantizeCmd   `cmd:"" help:"Write a model as a GGUF file of fewer bits."`
	Pull       pullCmd       `cmd:"" help:"Fetch a published model into the store."`
	List       listCmd       `cmd:"" help:"The models in the store."`
	Rm         rmCmd         `cmd:"" help:"Delete models from the store."`
	Show       showCmd       `cmd:"" help:"Describe a model: shape, parameters, arithmetic, memory."`
	Version    versionCmd    `cmd:"" help:"Print version, CPU features and the kernel variant in use."`

	common
}

// common are the flags of every verb.
type common struct {
	Threads int    `help:"Worker threads; 0 uses all CPUs. Results have the same bits for any number." default:"0" placeholder:"N"`
	Seed    uint64 `help:"Seed of everything random." default:"1" placeholder:"N"`
	JSON    bool   `help:"Print one JSON object on stdout at the end, and nothing else there." name:"json"`

	out, err    io.Writer
	onInterrupt atomic.Pointer[func() bool] // asked first when Ctrl-C is pressed; false ends the verb's context
}

// usageError is a wrong flag value that only the verb could see.
type usageError struct{ error }

// usagef returns a usageError: the program ends with code 2.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// flagError turns a library's error that begins with the name of an option ("top_p is 2", "train: steps is 0") into a usageError
// that names the flag.
func flagError(err error) error {
	text := err.Error()
	if pkg, rest, ok := strings.Cut(text, ": "); ok && !strings.Contains(pkg, " ") {
		text = rest
	}
	name, rest, _ := strings.Cut(text, " ")
	return usagef("--%s %s", strings.ReplaceAll(name, "_", "-"), rest)
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole program but for the process: it returns the exit code.
func run(args []string, out, errw io.Writer) int {
	ctx, interrupt := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	var c cli
	c.out, c.err = out, errw
	go func() {
		s := <-signals
		for f := c.onInterrupt.Load(); s == os.Interrupt && f != nil && (*f)(); f = c.onInterrupt.Load() {
			s = <-signals // the verb has dealt with it
		}
		interrupt(interrupted{s})
		<-signals // a second signal ends at once
		os.Exit(exitInterrupted + number(s))
	}()
	return c.run(ctx, args)
}

// output is where a verb writes its result. What cannot be written ends the verb.
type output struct {
	io.Writer
	err  error // the first
	stop context.CancelCauseFunc
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.err == nil {
		o.err = err
		o.stop(err)
	}
	return n, err
}

// run reads the command line and runs its verb, until ctx ends; it returns the exit code.
func (c *cli) run(ctx context.Context, args []string) int {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out, errw := &output{Writer: c.out, stop: stop}, c.err
	c.out = out
	exit := -1
	tasks, taskHelp := adaptHelp()
	parser, err := kong.New(c, kong.Name("plinth"), kong.Description("A foundation-model stack in one program: pre-train a model, adapt it, evaluate it, write with it."),
		kong.Writers(out, errw), kong.Exit(func(code int) { exit = code }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(&c.common), kong.Configuration(openRecipe), kong.Vars{"templates": strings.Join(chat.Names(), ", "), "adapt_tasks": tasks, "adapt_help": taskHelp})
	if err != nil {
		fmt.Fprintln(errw, "plinth:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exit >= 0 { // --help
		return exit
	}
	if err != nil {
		fmt.Fprintf(errw, "plinth: %v\nplinth --help lists the verbs, plinth VERB --help their flags.\n", err)
		return exitUsage
	}
	if c.Threads < 0 || c.Threads > 1024 {
		fmt.Fprintf(errw, "plinth: --threads %d is not within 0 to 1024\n", c.Threads)
		return exitUsage
	}
	err = k.Run()
	if out.err != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = out.err
	}
	if err == nil {
		return 0
	}
	var sig interrupted
	stopped := errors.As(context.Cause(ctx), &sig) || errors.As(err, &sig)
	if stopped && err.Error() == context.Canceled.Error() {
		err = sig
	}
	fmt.Fprintln(errw, "plinth:", err)
	switch {
	case stopped:
		return exitInterrupted + number(sig.Signal)
	case errors.As(err, new(usageError)):
		return exitUsage
	}
	return exitFailed
}

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ os.Signal }

func (i interrupted) Error() string {
	if i.Signal == os.Interrupt {
		return "Ctrl-C"
	}
	return "SIGTERM"
}

func number(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return int(n)
	}
	return int(syscall.SIGINT)
}
