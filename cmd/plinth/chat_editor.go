package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/term"
)

// editor reads lines from a terminal in raw mode: with editing, a history, pastes of several lines, and Ctrl-C as a key. What is typed while
// nobody asks for a line waits for the next one.
type editor struct {
	ctx      context.Context
	in       *os.File
	screen   io.Writer
	onCtrlC  func() bool // asked when it is pressed; false: it is for the line
	terminal *term.Terminal
	past     history
	pressed  bool // Ctrl-C ended the line

	mu    sync.Mutex
	queue []string // tokens of keyboard.feed
	err   error    // behind them
	wake  chan struct{}
}

// history are the lines that were entered, the last one first.
type history []string

func (h *history) Len() int        { return len(*h) }
func (h *history) At(i int) string { return (*h)[len(*h)-1-i] }

// Add keeps a line, unless it is blank or the same as the last.
func (h *history) Add(line string) {
	if strings.TrimSpace(line) != "" && (len(*h) == 0 || h.At(0) != line) {
		*h = append(*h, line)
	}
}

// newEditor makes in raw and reads it until ctx ends; restore gives the terminal back. Who writes to the terminal in between ends lines with \r\n (crlf).
func newEditor(ctx context.Context, in *os.File, screen io.Writer, onCtrlC func() bool) (e *editor, restore func(), err error) {
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, nil, err
	}
	e = &editor{ctx: ctx, in: in, screen: screen, onCtrlC: onCtrlC, wake: make(chan struct{}, 1)}
	e.renew()
	e.terminal.SetBracketedPasteMode(true)
	go e.pump()
	return e, func() {
		e.terminal.SetBracketedPasteMode(false)
		term.Restore(int(in.Fd()), old)
	}, nil
}

// renew forgets what was typed of a line.
func (e *editor) renew() {
	e.terminal = term.NewTerminal(e, "")
	e.terminal.History = &e.past
}

// pump queues what the terminal sends. A read that waits for it outlives the conversation.
func (e *editor) pump() {
	var k keyboard
	buf := make([]byte, 4096)
	for {
		n, err := e.in.Read(buf)
		for _, token := range k.feed(buf[:n]) {
			if token == ctrlC && e.onCtrlC() {
				e.push(true, nil, nil)
			} else {
				e.push(false, []string{token}, nil)
			}
		}
		if err != nil {
			if err != io.EOF {
				err = fmt.Errorf("standard input: %w", err)
			}
			e.push(false, nil, err)
			return
		}
	}
}

// push adds to the queue, in place of what waits there if so asked.
func (e *editor) push(instead bool, tokens []string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if instead {
		e.queue = nil
	}
	e.queue, e.err = append(e.queue, tokens...), err
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Read gives the line editor a part of a token, or an end of line for Ctrl-C.
func (e *editor) Read(p []byte) (int, error) {
	for {
		e.mu.Lock()
		if len(e.queue) > 0 {
			defer e.mu.Unlock()
			if e.queue[0] == ctrlC {
				e.queue[0], e.pressed = "\r", true
			}
			n := copy(p, e.queue[0])
			if e.queue[0] = e.queue[0][n:]; e.queue[0] == "" {
				e.queue = e.queue[1:]
			}
			return n, nil
		}
		err := e.err
		e.mu.Unlock()
		if err != nil {
			return 0, err
		}
		select {
		case <-e.wake:
		case <-e.ctx.Done():
			return 0, context.Cause(e.ctx)
		}
	}
}

// Write shows what the line editor draws.
func (e *editor) Write(p []byte) (int, error) {
	if _, err := io.WriteString(e.screen, shownText.Replace(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// line is the next line; with errCtrlC what was typed of it.
func (e *editor) line(prompt string) (string, error) {
	if width, height, err := term.GetSize(int(e.in.Fd())); err == nil && width > 0 {
		e.terminal.SetSize(width, height)
	}
	e.terminal.SetPrompt(prompt)
	e.pressed = false
	text, err := e.terminal.ReadLine()
	if err == term.ErrPasteIndicator {
		err = nil
	}
	if err != nil {
		e.renew()
		io.WriteString(e.screen, "\r\n")
	}
	if err == nil && e.pressed {
		err = errCtrlC
	}
	return heldText.Replace(text), err
}

// crlf writes to a terminal in raw mode.
type crlf struct{ io.Writer }

func (c crlf) Write(p []byte) (int, error) {
	text := strings.ReplaceAll(strings.ReplaceAll(string(p), "\r\n", "\n"), "\n", "\r\n")
	if _, err := io.WriteString(c.Writer, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ttyOf is the terminal that w writes to, or nil.
func ttyOf(w io.Writer) *os.File {
	if o, ok := w.(*output); ok {
		w = o.Writer
	}
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return f
	}
	return nil
}

// edit makes standard input a line editor where it is a terminal, and so is an output to draw on; nil elsewhere. restore undoes it.
func (s *talk) edit(ctx context.Context) (e *editor, restore func()) {
	out, errs := ttyOf(s.c.out), ttyOf(s.c.err)
	screens := slices.DeleteFunc([]*os.File{errs, out}, func(f *os.File) bool { return f == nil })
	if len(screens) == 0 {
		return nil, nil
	}
	e, giveBack, err := newEditor(ctx, os.Stdin, screens[0], func() bool {
		f := s.c.onInterrupt.Load()
		if f != nil {
			(*f)()
		}
		return f != nil
	})
	if err != nil {
		return nil, nil
	}
	oldScreen, oldErr := s.screen, s.c.err
	if s.screen != nil && ttyOf(s.screen) != nil {
		s.screen = crlf{s.screen}
	}
	if errs != nil {
		s.c.err = crlf{oldErr}
	}
	return e, func() {
		giveBack()
		s.screen, s.c.err = oldScreen, oldErr
	}
}
