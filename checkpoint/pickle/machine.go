package pickle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Values of the machine: nil, bool, int64, float64, string, []byte, big, *list, *dict, global, and what calls returns.
type (
	list struct { // a list or a tuple
		items []any
		tuple bool
	}
	dict   struct{ keys, values []any } // in order; a key set twice stands twice
	global struct{ module, name string }
	big    string // a whole number beyond 64 bits, little-endian
	mark   struct{}
)

func (g global) String() string { return g.module + "." + g.name }

// machine runs one pickle.
type machine struct {
	data   []byte
	at     int
	stack  []any
	memo   map[uint64]any
	budget int // bytes of memory that may still be taken
	calls  calls
}

// calls are the functions that a pickle may use.
type calls interface {
	known(g global) bool
	call(g global, args []any) (any, error)
	load(id any) (any, error) // a persistent id
}

// cost of a value on the stack, in the memo or in a container, with what Go adds.
const cost = 64

// stop ends the machine with an error.
type stop struct{ error }

func (m *machine) fail(format string, args ...any) {
	panic(stop{fmt.Errorf("byte %d: "+format, append([]any{m.at}, args...)...)})
}

// run returns the value that the pickle at m.at builds and leaves m.at behind it.
func (m *machine) run() (v any, err error) {
	defer func() {
		if r := recover(); r != nil {
			s, ok := r.(stop)
			if !ok {
				panic(r)
			}
			err = s.error
		}
	}()
	m.stack, m.memo = nil, map[uint64]any{}
	for {
		if op := m.take(1)[0]; op == '.' {
			return m.pop(), nil
		} else if !m.simple(op) && !m.container(op) && !m.text(op) {
			m.function(op)
		}
	}
}

func (m *machine) spend(n int) {
	if m.budget -= n; m.budget < 0 {
		m.fail("the pickle takes more memory than a file of its length may")
	}
}

func (m *machine) push(v any) {
	m.spend(cost)
	m.stack = append(m.stack, v)
}

func (m *machine) pop() any {
	if len(m.stack) == 0 {
		m.fail("the stack is empty")
	}
	v := m.stack[len(m.stack)-1]
	if _, is := v.(mark); is {
		m.fail("a mark where a value should be")
	}
	m.stack = m.stack[:len(m.stack)-1]
	return v
}

func (m *machine) top() any {
	v := m.pop()
	m.stack = append(m.stack, v)
	return v
}

// popMark returns the values above the last mark and removes both.
func (m *machine) popMark() []any {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, is := m.stack[i].(mark); is {
			v := slices.Clone(m.stack[i+1:])
			m.spend(16 * len(v))
			m.stack = m.stack[:i]
			return v
		}
	}
	m.fail("no mark")
	return nil
}

// take returns the next n bytes, not copied.
func (m *machine) take(n int) []byte {
	if n < 0 || n > len(m.data)-m.at {
		m.fail("the pickle ends within %d bytes", n)
	}
	m.at += n
	return m.data[m.at-n : m.at]
}

// number reads an unsigned number of n bytes.
func (m *machine) number(n int) uint64 {
	var b [8]byte
	copy(b[:], m.take(n))
	return binary.LittleEndian.Uint64(b[:])
}

// counted reads as many bytes as a number of n bytes says.
func (m *machine) counted(n int) []byte {
	length := m.number(n)
	if length > math.MaxInt {
		m.fail("a length of %d", length)
	}
	b := m.take(int(length))
	m.spend(len(b))
	return b
}

func (m *machine) line() string {
	for i, c := range m.data[m.at:] {
		if c == '\n' {
			s := string(m.take(i + 1)[:i])
			m.spend(len(s))
			return s
		}
	}
	m.fail("a line without end")
	return ""
}

// whole turns two's complement, little-endian, into a number.
func whole(b []byte) any {
	if len(b) > 8 {
		return big(b)
	}
	var v [8]byte
	if len(b) > 0 && b[len(b)-1] >= 0x80 {
		v = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
	}
	copy(v[:], b)
	return int64(binary.LittleEndian.Uint64(v[:]))
}

// simple runs the opcodes that push a value or change the stack and memo.
func (m *machine) simple(op byte) bool {
	switch op {
	case 0x80: // PROTO
		if v := m.number(1); v > 5 {
			m.fail("protocol %d, at most 5 is known", v)
		}
	case 0x95: // FRAME
		m.number(8)
	case 'N':
		m.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		m.push(op == 0x88)
	case 'J': // BININT
		m.push(int64(int32(m.number(4))))
	case 'K', 'M': // BININT1, BININT2
		m.push(int64(m.number(1 + int(op-'K')/2)))
	case 0x8a, 0x8b: // LONG1, LONG4
		m.push(whole(m.counted(1 + 3*int(op-0x8a))))
	case 'G':
		m.push(math.Float64frombits(binary.BigEndian.Uint64(m.take(8))))
	case 'X', 0x8c, 0x8d: // BINUNICODE, SHORT_, 8
		m.push(string(m.counted(map[byte]int{'X': 4, 0x8c: 1, 0x8d: 8}[op])))
	case 'T', 'U': // BINSTRING, SHORT_
		m.push(string(m.counted(map[byte]int{'T': 4, 'U': 1}[op])))
	case 'B', 'C', 0x8e: // BINBYTES, SHORT_, 8
		m.push(slices.Clone(m.counted(map[byte]int{'B': 4, 'C': 1, 0x8e: 8}[op])))
	case '(':
		m.push(mark{})
	case '0': // POP
		if n := len(m.stack); n > 0 {
			m.stack = m.stack[:n-1]
		} else {
			m.fail("the stack is empty")
		}
	case '1': // POP_MARK
		m.popMark()
	case '2': // DUP
		m.push(m.top())
	case 'q', 'r': // BINPUT, LONG_
		m.put(m.number(1 + 3*int(op-'q')))
	case 0x94: // MEMOIZE
		m.put(uint64(len(m.memo)))
	case 'h', 'j': // BINGET, LONG_
		m.get(m.number(map[byte]int{'h': 1, 'j': 4}[op]))
	default:
		return false
	}
	return true
}

func (m *machine) put(i uint64) {
	m.spend(cost)
	m.memo[i] = m.top()
}

func (m *machine) get(i uint64) {
	v, ok := m.memo[i]
	if !ok {
		m.fail("memo %d is empty", i)
	}
	m.push(v)
}

// container runs the opcodes of lists, tuples and dictionaries.
func (m *machine) container(op byte) bool {
	switch op {
	case ')':
		m.push(&list{tuple: true})
	case ']':
		m.push(&list{})
	case '}':
		m.push(&dict{})
	case 't', 'l': // TUPLE, LIST
		m.push(&list{m.popMark(), op == 't'})
	case 'd': // DICT
		d := &dict{}
		m.set(d, m.popMark())
		m.push(d)
	case 0x85, 0x86, 0x87: // TUPLE1 to 3
		items := make([]any, op-0x84)
		for i := len(items) - 1; i >= 0; i-- {
			items[i] = m.pop()
		}
		m.push(&list{items, true})
	case 'a': // APPEND
		v := m.pop()
		m.extend([]any{v})
	case 'e': // APPENDS
		m.extend(m.popMark())
	case 's': // SETITEM
		v := m.pop()
		k := m.pop()
		m.set(m.dict(), []any{k, v})
	case 'u': // SETITEMS
		v := m.popMark()
		m.set(m.dict(), v)
	default:
		return false
	}
	return true
}

// dict returns the dictionary on top of the stack.
func (m *machine) dict() *dict {
	d, ok := m.top().(*dict)
	if !ok {
		m.fail("SETITEM of a %T", m.top())
	}
	return d
}

func (m *machine) set(d *dict, pairs []any) {
	if len(pairs)%2 != 0 {
		m.fail("a key without value")
	}
	m.spend(cost / 2 * len(pairs))
	for i := 0; i < len(pairs); i += 2 {
		d.keys, d.values = append(d.keys, pairs[i]), append(d.values, pairs[i+1])
	}
}

func (m *machine) extend(v []any) {
	l, ok := m.top().(*list)
	if !ok || l.tuple {
		m.fail("APPEND to a %T", m.top())
	}
	m.spend(cost / 2 * len(v))
	l.items = append(l.items, v...)
}

// text runs the opcodes of protocol 0 that later protocols still write.
func (m *machine) text(op byte) bool {
	switch op {
	case 'I':
		s := m.line()
		if s == "00" || s == "01" {
			m.push(s == "01")
			break
		}
		m.decimal(s)
	case 'L':
		m.decimal(strings.TrimSuffix(m.line(), "L"))
	case 'F':
		v, err := strconv.ParseFloat(m.line(), 64)
		if err != nil {
			m.fail("%v", err)
		}
		m.push(v)
	case 'V': // UNICODE; escapes are of no key that a tensor has
		m.push(m.line())
	case 'p', 'g': // PUT, GET
		i, err := strconv.ParseUint(m.line(), 10, 32)
		if err != nil {
			m.fail("%v", err)
		}
		if op == 'p' {
			m.put(i)
		} else {
			m.get(i)
		}
	default:
		return false
	}
	return true
}

func (m *machine) decimal(s string) {
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		m.push(v)
	} else if errors.Is(err, strconv.ErrRange) && len(s) < 64 {
		m.push(big(s))
	} else {
		m.fail("%v", err)
	}
}

// function runs the opcodes that name or call something.
func (m *machine) function(op byte) {
	switch op {
	case 'c': // GLOBAL
		module := m.line()
		m.global(module, m.line())
	case 0x93: // STACK_GLOBAL
		name, ok := m.pop().(string)
		module, ok2 := m.pop().(string)
		if !ok || !ok2 {
			m.fail("STACK_GLOBAL of no strings")
		}
		m.global(module, name)
	case 'R', 0x81: // REDUCE, NEWOBJ
		args, ok := m.pop().(*list)
		g, ok2 := m.pop().(global)
		if !ok || !args.tuple || !ok2 {
			m.fail("a call of something that is no function of this package")
		}
		m.result(m.calls.call(g, args.items))
	case 'Q': // BINPERSID
		m.result(m.calls.load(m.pop()))
	case 'b': // BUILD sets attributes, of which an OrderedDict has _metadata
		m.pop()
		if _, ok := m.top().(*dict); !ok {
			m.fail("BUILD of a %T", m.top())
		}
	case 'i', 'o', 0x92: // INST, OBJ, NEWOBJ_EX
		m.fail("opcode %#x, which makes objects, is not allowed", op)
	default:
		m.fail("opcode %#x is not allowed", op)
	}
}

func (m *machine) global(module, name string) {
	g := global{module, name}
	if !m.calls.known(g) {
		m.fail("%q is not allowed: only tensors are read from a pickle", g)
	}
	m.push(g)
}

func (m *machine) result(v any, err error) {
	if err != nil {
		m.fail("%w", err)
	}
	m.push(v)
}
