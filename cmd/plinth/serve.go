package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/serve"
)

type serveCmd struct {
	Model    []string      `required:"" help:"Models: folders, .gguf files, or models of the store; each may be given a name, as in NAME=DIR." placeholder:"[NAME=]DIR|NAME" sep:"none"`
	Listen   string        `default:"127.0.0.1:8080" help:"Address and port. One that other machines reach wants --api-key." placeholder:"HOST:PORT"`
	APIKey   []string      `name:"api-key" env:"PLINTH_API_KEYS" help:"Keys, any of which a request must bring; better in PLINTH_API_KEYS, with commas between, than on the command line." placeholder:"KEY"`
	Public   bool          `help:"Let everybody in without a key, also from other machines."`
	Host     []string      `help:"Names that requests may be addressed to, beside this machine's own; * for any." placeholder:"NAME"`
	Memory   string        `help:"Most memory of the models together: their weights, and caches as they are. A model is opened when it is asked for, and the one used the longest ago is closed. Without it all stay open." placeholder:"BYTES|GB"`
	Slots    int           `default:"8" help:"Sequences of one model that are written at once." placeholder:"N"`
	MaxWait  time.Duration `default:"0s" help:"Longest time that a request may have to wait for a slot, as estimated when it comes; one that would wait longer is refused with 429 and told when to come back. 0 means a third of the time of an answer while all slots are busy, at least 2s." placeholder:"TIME"`
	Template string        `help:"Chat template instead of the models': one of ${templates}." placeholder:"NAME"`
	Adapter  []string      `help:"LoRA adapters of the models that write, chosen by the model name MODEL:NAME; MODEL: is left out where there is one model." placeholder:"[MODEL:]NAME=DIR" sep:"none"`
	MCP      bool          `name:"mcp" help:"Speak the Model Context Protocol on standard input and output, instead of HTTP: the tools generate, embed, classify."`
	Images   imageFlags    `embed:""`
	Runs     string        `type:"existingdir" help:"Folder with run directories of plinth train, which the web page shows." placeholder:"DIR"`
	Drain    int           `default:"30" help:"Seconds that answers in progress may take after Ctrl-C or SIGTERM." placeholder:"S"`
	engineFlags
}

// imageFlags say which pictures are taken.
type imageFlags struct {
	Pixels int  `name:"image-pixels" default:"2097152" help:"Most pixels of a picture; more are refused. Decoding one takes up to 19 bytes for each." placeholder:"N"`
	URLs   bool `name:"image-urls" help:"Fetch pictures from the http and https addresses that requests name, of machines on the public internet. Without it they are sent with the request only."`
}

func (*serveCmd) Help() string {
	return `The API is OpenAI's: any client works with base URL http://127.0.0.1:8080/v1. Example: plinth serve --model runs/quickstart, then
curl http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' -d '{"prompt": "func main() {"}'`
}

func (s *serveCmd) Run(ctx context.Context, c *common) error {
	if err := s.check(); err != nil {
		return err
	}
	o := serve.Options{Keys: s.APIKey, Hosts: s.Host, MaxWait: s.MaxWait, Images: media.Limits{Pixels: s.Images.Pixels}, ImageURLs: s.Images.URLs, Log: slog.New(slog.NewTextHandler(c.err, nil))}
	if host, _, _ := net.SplitHostPort(s.Listen); host != "" {
		o.Hosts = append(o.Hosts, host)
	}
	var err error
	var unopened error // what is wrong with a model is not the flags' fault
	if o.Sources, err = s.sources(ctx, c, &unopened); err != nil {
		return err
	}
	if s.Memory != "" {
		if o.Memory, err = byteCount(s.Memory); err != nil {
			return usagef("--memory %s: %v", s.Memory, err)
		}
	}
	if s.Runs != "" {
		root, err := os.OpenRoot(s.Runs)
		if err != nil {
			return fmt.Errorf("--runs: %w", err)
		}
		defer root.Close()
		o.Runs = root
	}
	server, err := serve.New(o)
	switch {
	case unopened != nil:
		return err
	case err != nil:
		return usageError{err}
	}
	if s.MCP {
		if err := server.MCP(ctx, os.Stdin, c.out); ctx.Err() == nil {
			return err
		}
		return nil
	}
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", s.Listen, err)
	}
	h := server.HTTP()
	var names []string
	for _, m := range o.Sources {
		names = append(names, m.Name)
	}
	c.say("%s at http://%s/v1", strings.Join(names, ", "), listener.Addr())
	c.say("web page: http://%s/", listener.Addr())
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(s.Drain)*time.Second)
		defer cancel()
		done <- server.Stop(drain, h)
	}()
	if err := h.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if err := <-done; err != nil {
		return fmt.Errorf("answers in progress were cut off: %w", err)
	}
	return nil
}

// check refuses an address that others reach without keys, unless that is wanted.
func (s *serveCmd) check() error {
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return usagef("--listen %s: want HOST:PORT, such as 127.0.0.1:8080", s.Listen)
	}
	ip := net.ParseIP(host)
	local := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case !local && len(s.APIKey) == 0 && !s.Public:
		return usagef("--listen %s can be reached from other machines: set PLINTH_API_KEYS, or --public to let everybody in", s.Listen)
	case s.Slots < 1 || s.Slots > 1024:
		return usagef("--slots %d is not within 1 to 1024", s.Slots)
	case s.Memory != "" && s.Draft != "":
		return usagef("--memory and --draft exclude each other: the draft stays open")
	case s.Images.Pixels < 1 || s.Images.Pixels > 1<<28:
		return usagef("--image-pixels %d is not within 1 to %d", s.Images.Pixels, 1<<28)
	case s.MaxWait < 0:
		return usagef("--max-wait %v is below 0", s.MaxWait)
	case s.Drain < 0:
		return usagef("--drain %d is below 0", s.Drain)
	}
	return nil
}

// byteCount reads a number of bytes, which may have a unit of thousands or, as in GiB, of 1024s.
func byteCount(s string) (int64, error) {
	number, factor := strings.TrimSpace(s), 1.0
	for i, unit := range []string{"K", "M", "G", "T"} {
		for suffix, base := range map[string]float64{unit: 1000, unit + "B": 1000, unit + "iB": 1024} {
			if rest, ok := strings.CutSuffix(number, suffix); ok {
				number, factor = strings.TrimSpace(rest), math.Pow(base, float64(i+1))
			}
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if n *= factor; err != nil || !(n >= 1 && n < math.MaxInt64) {
		return 0, errors.New("want a number of bytes, or one with a unit such as 8GB")
	}
	return int64(n), nil
}

// sources are the models and their adapters, each opened with files that it closes by itself. failed is told the last error of an opening.
func (s *serveCmd) sources(ctx context.Context, c *common, failed *error) ([]serve.Source, error) {
	var list []serve.Source
	add := func(name, path string, open func(o zoo.Options) (*serve.Model, error)) {
		list = append(list, serve.Source{Name: name, Open: func() (*serve.Model, error) {
			var files []io.Closer
			closeAll := func() error {
				var errs []error
				for _, f := range files {
					errs = append(errs, f.Close())
				}
				return errors.Join(errs...)
			}
			one, err := open(zoo.Options{Keep: func(f io.Closer) { files = append(files, f) }})
			if err != nil {
				*failed = err
				return nil, errors.Join(err, closeAll())
			}
			if info, err := os.Stat(path); err == nil {
				one.Created = info.ModTime()
			}
			one.Close = closeAll
			return one, nil
		}})
	}
	for _, arg := range s.Model {
		name, path, err := s.named(arg)
		if err != nil {
			return nil, err
		}
		add(name, path, func(o zoo.Options) (*serve.Model, error) { return s.openKind(ctx, c, name, path, o) })
	}
	for _, arg := range s.Adapter {
		base, path, adapter, dir, err := s.adapted(arg)
		if err != nil {
			return nil, err
		}
		name := base + ":" + adapter
		add(name, dir, func(o zoo.Options) (*serve.Model, error) { // the base's weights are the same pages of the file as the base's own
			one, err := s.openWriter(ctx, c, name, path, dir, o)
			if err != nil {
				return nil, fmt.Errorf("--adapter %s: %w", arg, err)
			}
			return one, nil
		})
	}
	return list, nil
}

// named divides an argument of --model into the name that the model goes by and where it is.
func (s *serveCmd) named(arg string) (name, path string, err error) {
	name, at, ok := strings.Cut(arg, "=")
	if !ok {
		name, at = "", arg
	}
	if path, err = modelPath(at); err != nil {
		return "", "", err
	}
	if name == "" {
		if name = at; path == at { // a path, not a name of the store
			name = strings.TrimSuffix(filepath.Base(path), ".gguf")
		}
	}
	return name, path, nil
}

// adapted divides an argument of --adapter into the name of its model and where that is, and its own.
func (s *serveCmd) adapted(arg string) (base, path, adapter, dir string, err error) {
	name, dir, ok := strings.Cut(arg, "=")
	base, adapter, qualified := strings.Cut(name, ":")
	if !qualified {
		base, adapter = "", name
	}
	if !ok || adapter == "" || dir == "" || base == "" && (qualified || len(s.Model) > 1) {
		return "", "", "", "", usagef("--adapter %s: want MODEL:NAME=DIR, or NAME=DIR where there is one model", arg)
	}
	for _, m := range s.Model {
		name, at, err := s.named(m)
		if err != nil {
			return "", "", "", "", err
		}
		if base == "" || name == base {
			return name, at, adapter, dir, nil
		}
	}
	return "", "", "", "", usagef("--adapter %s: no --model goes by the name %s", arg, base)
}
