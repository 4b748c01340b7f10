package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/plinth-ml/plinth/chat"
)

const chatHelp = `A line is a message. A line that ends with \ goes on in the next; text between two """ may have any lines.
/system TEXT  set the system message; without TEXT remove it
/tool TEXT    what a tool returned for the first call that waits; after the last one the model goes on
/undo         take back the last message and its answer
/clear        forget all messages but the system message
/save FILE    write the conversation, in OpenAI's JSON; /save! FILE replaces a file that is there
/load FILE    read one
/help         this
/exit         end, as Ctrl-D on an empty line
Ctrl-C stops an answer, clears a line, and pressed twice on an empty line ends the program.
`

// errExit ends a conversation, errCtrlC a line of it.
var (
	errExit  = errors.New("exit")
	errCtrlC = errors.New("Ctrl-C")
)

// converse answers the messages of standard input until it ends. On a terminal errors are shown and the conversation goes on.
func (s *talk) converse(ctx context.Context) error {
	s.terminal = isTerminal(os.Stdin)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var in asker
	if e, restore := s.edit(reading); e != nil {
		defer restore()
		in = e
	} else {
		l := &lines{ctx: reading, ch: make(chan line), terminal: s.terminal, screen: s.c.err}
		go l.read(os.Stdin)
		in = l
	}
	if s.terminal {
		s.c.say("%s, %d positions; /help for commands", s.cmd.Model, s.context)
	}
	leaving := false // an empty line was interrupted
	for {
		message, err := readMessage(in)
		if err == errCtrlC {
			switch {
			case message.text != "":
				leaving = false
			case leaving:
				return interrupted{os.Interrupt}
			default:
				leaving = true
				s.c.say("[press Ctrl-C again, or /exit, to leave]")
			}
			continue
		}
		leaving = false
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = s.handle(ctx, message)
		}
		switch {
		case err == errExit:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && s.terminal:
			s.c.say("plinth: %v", err)
		case err != nil:
			return err
		}
	}
}

// handle answers a message or follows a command.
func (s *talk) handle(ctx context.Context, m message) error {
	if m.quoted || !strings.HasPrefix(m.text, "/") {
		if strings.TrimSpace(m.text) == "" {
			return nil
		}
		return s.answer(ctx, userMessage(m.text))
	}
	name, arg, _ := strings.Cut(m.text, " ")
	arg = strings.TrimSpace(arg)
	hasSystem := len(s.messages) > 0 && s.messages[0].Role == "system"
	switch name {
	case "/system":
		if hasSystem {
			s.messages = s.messages[1:]
		}
		if arg == "" {
			s.confirm("no system message")
			return nil
		}
		s.messages = append([]chat.Message{{Role: "system", Content: chat.Text(arg)}}, s.messages...)
		s.confirm("system message set")
	case "/tool":
		return s.result(ctx, arg)
	case "/undo":
		i := len(s.messages) - 1
		for i >= 0 && s.messages[i].Role != "user" {
			i--
		}
		if i < 0 {
			return errors.New("/undo: there is no message to take back")
		}
		s.confirm("%s taken back, %d left", plural(len(s.messages)-i, "message"), i)
		s.messages = s.messages[:i]
	case "/clear":
		keep := 0
		if hasSystem {
			keep = 1
		}
		s.confirm("%s forgotten", plural(len(s.messages)-keep, "message"))
		s.messages = s.messages[:keep]
	case "/save", "/save!":
		return s.save(name, arg)
	case "/load":
		return s.load(arg)
	case "/help":
		fmt.Fprint(s.c.err, chatHelp)
	case "/exit", "/quit":
		return errExit
	default:
		return fmt.Errorf(`%s is no command (/help lists them; a message that begins with / goes between """)`, name)
	}
	return nil
}

// asker reads lines. With errCtrlC comes what was typed of one.
type asker interface {
	line(prompt string) (string, error)
}

// lines are those of a file, a pipe, or a terminal that edits them itself.
type lines struct {
	ctx      context.Context
	ch       chan line
	terminal bool
	screen   io.Writer // for prompts to a terminal
}

type line struct {
	text string
	err  error
}

// message is what was written at the prompt; between """ it is no command.
type message struct {
	text   string
	quoted bool
}

// maxLine bounds a line of input.
const maxLine = 16 << 20

// read sends the lines of r, and then its error again and again. A read that waits for the terminal outlives the conversation.
func (l *lines) read(r io.Reader) {
	b := bufio.NewScanner(r)
	b.Buffer(nil, maxLine)
	for {
		x := line{err: io.EOF}
		if b.Scan() {
			x = line{text: b.Text()}
		} else if err := b.Err(); err != nil {
			x.err = fmt.Errorf("standard input: %w", err)
		}
		select {
		case l.ch <- x:
		case <-l.ctx.Done():
			return
		}
	}
}

func (l *lines) line(prompt string) (string, error) {
	if l.terminal {
		fmt.Fprint(l.screen, prompt)
	}
	select {
	case <-l.ctx.Done():
		return "", context.Cause(l.ctx)
	case x := <-l.ch:
		if l.terminal {
			x.text = plainText(x.text)
		}
		return x.text, x.err
	}
}

const quoteMark = `"""`

// readMessage reads one: a line, lines joined by a \ at their ends, or what stands between two """. With errCtrlC its text is what was typed.
func readMessage(in asker) (message, error) {
	text, err := in.line("> ")
	if err != nil {
		return message{text: text}, err
	}
	if rest, ok := strings.CutPrefix(text, quoteMark); ok {
		for {
			if body, _, ok := strings.Cut(rest, quoteMark); ok {
				return message{strings.Trim(body, "\n"), true}, nil
			}
			more, err := in.line(". ")
			if err == io.EOF {
				return message{}, errors.New(`the input ends inside """`)
			}
			if err != nil {
				return message{text: text}, err
			}
			rest += "\n" + more
		}
	}
	for strings.HasSuffix(text, `\`) {
		more, err := in.line(". ")
		if err == io.EOF {
			break
		}
		if err != nil {
			return message{text: text}, err
		}
		text = strings.TrimSuffix(text, `\`) + "\n" + more
	}
	return message{text: text}, nil
}
