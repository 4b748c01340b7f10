package train

import "math"

// Rate is the learning rate of a step counted from 0, for resolved options: a linear rise over Warmup steps, then by Schedule down to
// MinLR·LR at Steps. Cosine is half a wave (Loshchilov & Hutter 2017, SGDR, eq. 5 with one period); wsd stays at the peak and falls as
// 1-sqrt in the last DecayShare of the steps (Hägele et al. 2024, Scaling laws beyond fixed training durations, eq. 1); constant stays.
func (o Options) Rate(step int) float64 {
	if step < o.Warmup {
		return o.LR * float64(step+1) / float64(o.Warmup)
	}
	warmup, least := max(0, o.Warmup), max(0, o.MinLR)
	done := func(from int) float64 { // share of the steps since from
		return min(1, float64(step-from)/float64(max(1, o.Steps-from)))
	}
	left := 1.0 // of the way from the peak to the least
	switch o.Schedule {
	case "cosine":
		left = (1 + math.Cos(math.Pi*done(warmup))) / 2
	case "linear":
		left = 1 - done(warmup)
	case "wsd":
		if from := max(warmup, o.Steps-int(math.Round(o.DecayShare*float64(o.Steps)))); step >= from {
			left = 1 - math.Sqrt(done(from))
		}
	}
	return o.LR * (least + (1-least)*left)
}
