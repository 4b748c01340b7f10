package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/pool"
)

// serve answers the lines that bench/peers/matmul.py documents, so that two builds can take turns.
func serve(o options, kern *gemm.Kernel) error {
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]any{"ready": true, "ways": []string{"plinth"}, "about": map[string]string{"kernel": kern.Name()}}); err != nil {
		return err
	}
	var c *cycle
	engines := map[int]*gemm.Engine{}
	engine := func(threads int) *gemm.Engine {
		if engines[threads] == nil {
			engines[threads] = gemm.New(kern, pool.New(threads))
		}
		return engines[threads]
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var which, path, way string
		var threads, calls int
		line, answer := lines.Text(), map[string]float64{}
		if n, _ := fmt.Sscanf(line, "load %s %s", &which, &path); n == 2 {
			m, err := parse(which)
			if err != nil {
				return err
			}
			both, err := floats(path)
			if err != nil {
				return err
			}
			m.A, m.B, m.C = both[:m.M*m.K], both[m.M*m.K:], make([]float32, m.M*m.N)
			c = newCycle(o, engine(1), m)
		} else if n, _ := fmt.Sscanf(line, "result %s %s", &way, &path); n == 2 {
			m := &c.products[0]
			engine(1).Mul(m)
			data := make([]byte, 0, 4*len(m.C))
			for _, v := range m.C {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				return err
			}
		} else if n, _ := fmt.Sscanf(line, "time %s %d %d", &way, &threads, &calls); n == 3 && threads > 0 && calls > 0 {
			answer["seconds"] = c.seconds(engine(threads), calls)
		} else {
			return fmt.Errorf("product: got %q, want load, result or time", line)
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// floats reads a file of raw float32.
func floats(path string) ([]float32, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := make([]float32, len(data)/4)
	for i := range s {
		s[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return s, nil
}
