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
	var m gemm.Product
	engines := map[int]*gemm.Engine{}
	engine := func(threads int) *gemm.Engine {
		if engines[threads] == nil {
			engines[threads] = gemm.New(kern, pool.New(threads))
		}
		return engines[threads]
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var path, way string
		var threads, calls int
		line, answer := lines.Text(), map[string]float64{}
		if n, _ := fmt.Sscanf(line, "load %d %d %d %s", &m.M, &m.N, &m.K, &path); n == 4 {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			both := make([]float32, len(data)/4)
			for i := range both {
				both[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
			}
			m.A, m.B, m.C, m.Packed = both[:m.M*m.K], both[m.M*m.K:], make([]float32, m.M*m.N), nil
			if o.packed {
				m.Packed = new(gemm.Packed)
				engine(1).Pack(m.Packed, m.B, 0, false, m.K, m.N)
			}
		} else if n, _ := fmt.Sscanf(line, "result %s %s", &way, &path); n == 2 {
			engine(1).Mul(&m)
			data := make([]byte, 0, 4*len(m.C))
			for _, v := range m.C {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				return err
			}
		} else if n, _ := fmt.Sscanf(line, "time %s %d %d", &way, &threads, &calls); n == 3 && threads > 0 && calls > 0 {
			answer["seconds"] = seconds(engine(threads), &m, calls)
		} else {
			return fmt.Errorf("product: got %q, want load, result or time", line)
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}
