package bench

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Peer is a process that answers each line on its standard input by one line of JSON.
type Peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Start runs a command and waits for its first line, {"ready": true, ...}, which it also decodes into hello, unless that is nil.
func Start(hello any, name string, args ...string) (*Peer, error) {
	p := &Peer{cmd: exec.Command(name, args...)}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var first json.RawMessage
	if err := p.read(&first); err != nil {
		return nil, err
	}
	var ready struct{ Ready bool }
	if err := json.Unmarshal(first, &ready); err != nil || !ready.Ready {
		return nil, fmt.Errorf("bench: %s: the first line %q does not say that it is ready", p.cmd, first)
	}
	if hello != nil {
		if err := json.Unmarshal(first, hello); err != nil {
			return nil, fmt.Errorf("bench: %s: %q: %w", p.cmd, first, err)
		}
	}
	return p, nil
}

// Ask sends one line and decodes the answer into v.
func (p *Peer) Ask(line string, v any) error {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return fmt.Errorf("bench: %s: %w", p.cmd, err)
	}
	return p.read(v)
}

// Step has the peer do one training step and returns its seconds and loss.
func (p *Peer) Step() (seconds, loss float64, err error) {
	var answer struct{ Seconds, Loss float64 }
	err = p.Ask("go", &answer)
	return answer.Seconds, answer.Loss, err
}

// WriteIDs writes token ids as little-endian words of 32 bits, for a peer to read.
func WriteIDs(path string, ids []int32) error {
	var data []byte
	for _, id := range ids {
		data = binary.LittleEndian.AppendUint32(data, uint32(id))
	}
	return os.WriteFile(path, data, 0o600)
}

func (p *Peer) read(v any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("bench: %s: %w", p.cmd, err)
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("bench: %s: %q: %w", p.cmd, line, err)
	}
	return nil
}

// Close ends the input and decodes the last line, unless v is nil.
func (p *Peer) Close(v any) error {
	if err := p.in.Close(); err != nil {
		return err
	}
	if v != nil {
		if err := p.read(v); err != nil {
			return err
		}
	}
	return p.cmd.Wait()
}
