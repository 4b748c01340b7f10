package generate

import "math"

// LogSum returns log Σ exp(logits), summed in float64 in order of id. It is NaN when a logit is.
func LogSum(logits []float32) float64 {
	top := math.Inf(-1)
	for _, l := range logits {
		top = max(top, float64(l))
	}
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	return top + math.Log(sum)
}

// topLogProbs returns the n most probable tokens, n above 0, lower ids first among equals. logSum is the LogSum of logits.
func topLogProbs(logits []float32, n int, logSum float64) []TokenProb {
	top := make([]TokenProb, 0, n+1)
	for id, l := range logits {
		p := float64(l) - logSum
		if len(top) == n && p <= top[n-1].LogProb {
			continue
		}
		i := len(top)
		top = append(top, TokenProb{})
		for ; i > 0 && top[i-1].LogProb < p; i-- {
			top[i] = top[i-1]
		}
		top[i] = TokenProb{int32(id), p}
		top = top[:min(len(top), n)]
	}
	return top
}
