package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Pairs holds the seconds of two programs that took turns.
type Pairs struct{ Ours, Peer []float64 }

// Add files one pair.
func (p *Pairs) Add(ours, peer float64) {
	p.Ours, p.Peer = append(p.Ours, ours), append(p.Peer, peer)
}

// Ratio returns the quartiles of peer/ours over the pairs: above one, ours is faster.
func (p *Pairs) Ratio() (low, median, high float64) {
	r := make([]float64, len(p.Ours))
	for i := range r {
		r[i] = p.Peer[i] / p.Ours[i]
	}
	return Quantile(r, 0.25), Quantile(r, 0.5), Quantile(r, 0.75)
}

// Quantile is the q-quantile of s, linear between its values; s is not empty and stays as it is.
func Quantile(s []float64, q float64) float64 {
	s = slices.Sorted(slices.Values(s))
	at := q * float64(len(s)-1)
	i := min(int(at), len(s)-1)
	j := min(i+1, len(s)-1)
	return s[i] + (at-float64(i))*(s[j]-s[i])
}

// Steal is the processor time that the hypervisor gave to others, and all time, in ticks since boot; zeros where the system
// does not tell.
type Steal struct{ Stolen, Total float64 }

// ReadSteal reads /proc/stat.
func ReadSteal() Steal {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Steal{}
	}
	line, _, _ := strings.Cut(string(data), "\n")
	var v [8]float64 // user nice system idle iowait irq softirq steal
	if n, _ := fmt.Sscanf(line, "cpu %f %f %f %f %f %f %f %f", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]); n != len(v) {
		return Steal{}
	}
	s := Steal{Stolen: v[7]}
	for _, x := range v {
		s.Total += x
	}
	return s
}

// Since is the share of processor time stolen since then, 0 to 1.
func (s Steal) Since(then Steal) float64 {
	if s.Total == then.Total {
		return 0
	}
	return (s.Stolen - then.Stolen) / (s.Total - then.Total)
}
