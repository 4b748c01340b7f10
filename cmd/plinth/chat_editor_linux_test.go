package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// session is the program on a pseudo-terminal.
type session struct {
	t    *testing.T
	tty  *os.File // the side of the terminal
	cmd  *exec.Cmd
	mu   sync.Mutex
	seen string // not waited for yet
	all  string
}

// onTerminal starts the program.
func onTerminal(t *testing.T, verb ...string) *session {
	t.Helper()
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { tty.Close() })
	fd := int(tty.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 200}); err != nil {
		t.Fatal(err)
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	defer program.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, tty: tty, cmd: exec.Command(exe, verb...)}
	s.cmd.Env = append(os.Environ(), "PLINTH_TEST_MAIN=1")
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = program, program, program
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			s.mu.Lock()
			s.seen, s.all = s.seen+string(buf[:n]), s.all+string(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// wait reads until the screen got text, and forgets what came before its end.
func (s *session) wait(text string) {
	s.t.Helper()
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		i := strings.Index(s.seen, text)
		if i >= 0 {
			s.seen = s.seen[i+len(text):]
		}
		s.mu.Unlock()
		if i >= 0 {
			return
		}
		if time.Since(start) > time.Minute {
			s.t.Fatalf("%q does not come: %q", text, s.all)
		}
	}
}

func (s *session) press(keys string) {
	s.t.Helper()
	if _, err := s.tty.Write([]byte(keys)); err != nil {
		s.t.Fatal(err)
	}
}

// exit is the program's exit code.
func (s *session) exit() int {
	s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

// said presses keys and waits for the prompt behind what they lead to.
func (s *session) said(keys string) {
	s.t.Helper()
	s.press(keys)
	s.wait("\r\n> ")
}

// TestChatTerminal: lines are edited, several pasted lines are one message, Ctrl-C clears a line, and twice on an empty one ends the program.
func TestChatTerminal(t *testing.T) {
	model, _ := talkative(t)
	file := filepath.Join(t.TempDir(), "a.json")
	s := onTerminal(t, "chat", "--model", model, "--max-tokens", "1", "--threads", "1")
	s.wait("> ")
	s.said("two\x1b[D\x1b[D\x1b[D\x01one \x05 x\x7f\x7f\x1b[1;5D\x1b[1;5D\x05.\x1b[24~\x1bx\r") // arrows, Ctrl-A, Ctrl-E, backspace, words
	s.press("\x1b[A\x1b[A")
	s.said("\x17four\r")                                   // the line before, its last word replaced
	s.said("\x1b[200~if x:\r\n\ty\x1b[31mz\rw\x1b[201~\r") // three lines, a colour among them
	s.press("half a line\x03")
	s.wait("\r\n> ")
	s.said("\"\"\"\rinside\x03")
	s.press("\"\"\"one\r")
	s.wait(". ")
	s.said("two\"\"\"\r")
	s.press("\x03")
	s.wait("again")
	s.wait("> ")
	s.press("/save " + file + "\r")
	s.wait("[8 messages saved to " + file + "]")
	s.wait("> ")
	s.press("\x03")
	s.wait("again")
	s.wait("> ")
	s.press("\x03")
	s.wait("plinth: Ctrl-C\r\n")
	if code := s.exit(); code != 130 {
		t.Errorf("exit code %d: %q", code, s.all)
	}
	var got []string
	for _, m := range saved(t, file) {
		if m.Role == "user" {
			got = append(got, m.Content.Text)
		}
	}
	if want := []string{"one two.", "one four", "if x:\n\tyz\nw", "one\ntwo"}; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("messages %q, want %q", got, want)
	}
	if strings.Count(s.all, "\n") != strings.Count(s.all, "\r\n") {
		t.Errorf("a line ends without a carriage return: %q", s.all)
	}
	if !strings.Contains(s.all, "\x1b[?2004l") {
		t.Errorf("pastes stay bracketed: %q", s.all)
	}
}

// TestChatTypedAhead: what is typed during an answer is the next message; Ctrl-C stops the answer and is not the prompt's; Ctrl-D ends the program.
func TestChatTypedAhead(t *testing.T) {
	dir, _ := talkative(t)
	verb := []string{"chat", "--model", dir, "--max-tokens", "4", "--threads", "1"}
	file := filepath.Join(t.TempDir(), "a.json")
	s := onTerminal(t, verb...)
	s.wait("> ")
	s.said("one\rtwo\r") // the second is answered when the first is
	s.wait("\r\n> ")
	s.press("/undo\r")
	s.wait("[2 messages taken back, 2 left]")
	s.wait("> ")
	s.said("/system x\r")
	s.said("/system\r")
	s.said("/save " + file + "\r")
	if m := saved(t, file); len(m) != 2 || m[0].Content.Text != "one" {
		t.Errorf("%+v", m)
	}
	s.press("\x04")
	if code := s.exit(); code != 0 {
		t.Errorf("exit code %d: %q", code, s.all)
	}
}

// TestTerminalModes: the terminal is given back as it was.
func TestTerminalModes(t *testing.T) {
	_, verb := talkative(t)
	s := onTerminal(t, verb...)
	before, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	s.wait("> ")
	s.press("/exit\r")
	if code := s.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	after, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil || before.Lflag != after.Lflag || before.Iflag != after.Iflag || before.Oflag != after.Oflag {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
}
