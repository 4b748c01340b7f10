package train

import "github.com/plinth-ml/plinth/nn"

// Result is what a run came to. Seconds and speeds are of this process's steps; the rest is of the whole run.
type Result struct {
	Params          int64   `json:"params"`
	Steps           int     `json:"steps"`
	Tokens          int64   `json:"tokens"`
	Seconds         float64 `json:"seconds"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	FLOPsPerSecond  float64 `json:"flops_per_second"` // 0: unknown
	PeakShare       float64 `json:"peak_share"`       // of Options.PeakFLOPs; 0: unknown
	Loss            float64 `json:"loss"`             // of the last step, nats per token
	ValLoss         float64 `json:"val_loss"`
	ValBitsPerByte  float64 `json:"val_bits_per_byte"`
	PeakRSS         int64   `json:"peak_rss_bytes"` // of this process; 0: unknown
	RunDir          string  `json:"run_dir"`

	Measures map[string]float64 `json:"measures,omitempty"` // what the last validation found beside its loss
	Alarm    string             `json:"alarm,omitempty"`    // why it looks, from some step to the last, as if nothing were learnt
}

func (l *Loop) result() Result {
	r := Result{
		Params: nn.Count(l.params), Steps: l.pos.Step, Tokens: l.pos.Tokens, Seconds: l.seconds, Loss: l.pos.Loss,
		ValLoss: l.pos.ValLoss, ValBitsPerByte: l.pos.ValBitsPerByte, PeakRSS: peakRSS(), RunDir: l.o.RunDir,
		Measures: l.measures, Alarm: l.pos.Alarm,
	}
	if l.seconds > 0 {
		r.TokensPerSecond = float64(l.trained) / l.seconds
		r.FLOPsPerSecond = r.TokensPerSecond * l.flops
		if l.o.PeakFLOPs > 0 {
			r.PeakShare = r.FLOPsPerSecond / l.o.PeakFLOPs
		}
	}
	return r
}
