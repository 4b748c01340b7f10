package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/internal/file"
)

// conversation is the file of /save.
type conversation struct {
	Messages []chat.Message `json:"messages"`
}

// maxConversation bounds the file of /load, in bytes.
const maxConversation = 64 << 20

// chatRoles are those that a loaded conversation may have.
var chatRoles = []string{"system", "developer", "user", "assistant", "tool"}

// confirm tells on a terminal what a command did.
func (s *talk) confirm(format string, args ...any) {
	if s.terminal {
		s.c.say("["+format+"]", args...)
	}
}

// filePath is the argument of a command as a path: ~/ is the user's home.
func filePath(command, arg string) (string, error) {
	rest, home := strings.CutPrefix(arg, "~/")
	switch {
	case arg == "":
		return "", fmt.Errorf("%s needs a file name", command)
	case !home:
		return arg, nil
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", command, arg, err)
	}
	return filepath.Join(dir, rest), nil
}

// save writes the conversation. A file that is there is replaced by /save!, or where this conversation wrote or loaded it.
func (s *talk) save(command, arg string) error {
	path, err := filePath(command, arg)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s: %s is a folder", command, path)
	case err == nil && command == "/save" && path != s.file:
		return fmt.Errorf("/save: %s exists; /save! %s replaces it", path, arg)
	}
	data, err := json.MarshalIndent(conversation{append([]chat.Message{}, s.messages...)}, "", "  ")
	if err != nil {
		return err
	}
	if err := file.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		var temporary *fs.PathError
		if errors.As(err, &temporary) && !errors.Is(err, file.ErrDiskFull) {
			err = temporary.Err
		}
		return fmt.Errorf("%s: %s: %w", command, path, err)
	}
	s.file = path
	s.confirm("%s saved to %s", plural(len(s.messages), "message"), path)
	return nil
}

// load reads an object with messages, or their list.
func (s *talk) load(arg string) error {
	path, err := filePath("/load", arg)
	if err != nil {
		return err
	}
	data, err := file.Read(path, maxConversation)
	if err != nil {
		return fmt.Errorf("/load: %w", err)
	}
	messages, err := parseConversation(data)
	if err != nil {
		return fmt.Errorf("%s is no conversation: %w", path, err)
	}
	s.messages, s.file = messages, path
	s.confirm("%s loaded from %s", plural(len(messages), "message"), path)
	return nil
}

func parseConversation(data []byte) ([]chat.Message, error) {
	var c conversation
	err := json.Unmarshal(data, &c.Messages)
	if err != nil {
		c.Messages = nil
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return nil, err
	}
	if len(c.Messages) == 0 {
		return nil, errors.New("it has no messages")
	}
	for i, m := range c.Messages {
		if !slices.Contains(chatRoles, m.Role) {
			return nil, fmt.Errorf("message %d: role %q is none of %s", i+1, m.Role, strings.Join(chatRoles, ", "))
		}
	}
	return c.Messages, nil
}
