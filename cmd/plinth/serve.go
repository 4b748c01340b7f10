package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/serve"
)

type serveCmd struct {
	Model    []string `required:"" help:"Models: folders, .gguf files, or models of the store; each may be given a name, as in NAME=DIR." placeholder:"[NAME=]DIR|NAME" sep:"none"`
	Listen   string   `default:"127.0.0.1:8080" help:"Address and port. One that other machines reach wants --api-key." placeholder:"HOST:PORT"`
	APIKey   []string `name:"api-key" env:"PLINTH_API_KEYS" help:"Keys, any of which a request must bring; better in PLINTH_API_KEYS, with commas between, than on the command line." placeholder:"KEY"`
	Public   bool     `help:"Let everybody in without a key, also from other machines."`
	Host     []string `help:"Names that requests may be addressed to, beside this machine's own; * for any." placeholder:"NAME"`
	Slots    int      `default:"8" help:"Sequences of one model that are written at once." placeholder:"N"`
	Template string   `help:"Chat template instead of the models': one of ${templates}." placeholder:"NAME"`
	Drain    int      `default:"30" help:"Seconds that answers in progress may take after Ctrl-C or SIGTERM." placeholder:"S"`
	engineFlags
}

func (*serveCmd) Help() string {
	return `The API is OpenAI's: any client works with base URL http://127.0.0.1:8080/v1. Example: plinth serve --model runs/quickstart, then
curl http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' -d '{"prompt": "func main() {"}'`
}

func (s *serveCmd) Run(ctx context.Context, c *common) error {
	if err := s.check(); err != nil {
		return err
	}
	o := serve.Options{Keys: s.APIKey, Hosts: s.Host, Log: slog.New(slog.NewTextHandler(c.err, nil))}
	if host, _, _ := net.SplitHostPort(s.Listen); host != "" {
		o.Hosts = append(o.Hosts, host)
	}
	for _, name := range s.Model {
		m, err := s.open(ctx, c, name)
		if err != nil {
			return err
		}
		o.Models = append(o.Models, m)
	}
	server, err := serve.New(o)
	if err != nil {
		return usageError{err}
	}
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", s.Listen, err)
	}
	h := &http.Server{Handler: server, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn)}
	var names []string
	for _, m := range o.Models {
		names = append(names, m.Name)
	}
	c.say("%s at http://%s/v1", strings.Join(names, ", "), listener.Addr())
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		server.Drain()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(s.Drain)*time.Second)
		defer cancel()
		err := h.Shutdown(drain)
		done <- errors.Join(err, h.Close())
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
	case s.Drain < 0:
		return usagef("--drain %d is below 0", s.Drain)
	}
	return nil
}

// open opens one of the models.
func (s *serveCmd) open(ctx context.Context, c *common, arg string) (*serve.Model, error) {
	name, at, named := strings.Cut(arg, "=")
	if !named {
		name, at = "", arg
	}
	path, err := modelPath(at)
	if err != nil {
		return nil, err
	}
	if name == "" {
		if name = at; path == at { // a path, not a name of the store
			name = strings.TrimSuffix(filepath.Base(path), ".gguf")
		}
	}
	m, tok, err := openWriter(path)
	if err != nil {
		return nil, err
	}
	engine, err := s.engine(c, m, s.Slots)
	if err != nil {
		return nil, err
	}
	one := &serve.Model{Name: name, Engine: engine, Tokenizer: tok, Vocab: m.Sizes().Vocab, Context: s.Context}
	if one.Context == 0 {
		one.Context = m.Sizes().Context
	}
	if info, err := os.Stat(path); err == nil {
		one.Created = info.ModTime()
	}
	if eos, ok := tok.EOS(); ok {
		one.Stops = []int32{eos}
	}
	source, err := chatSource(path, tok, m.Sizes().Vocab)
	if err != nil {
		return nil, err
	}
	template, err := s.template(source)
	switch {
	case errors.Is(err, chat.ErrNoTemplate):
		c.say("note: %s has no chat template: it only continues texts (--template NAME)", name)
	case err != nil:
		return nil, err
	default:
		one.Dialogue = chat.NewDialogue(ctx, source, template, tok)
	}
	return one, nil
}

// template is the model's, or that of --template.
func (s *serveCmd) template(source *chat.Source) (*chat.Template, error) {
	if s.Template != "" {
		return chat.Named(s.Template, source.BOS, source.EOS)
	}
	return source.Open(false)
}
