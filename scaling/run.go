package scaling

// Run is one training run, finished or at a checkpoint of its curve.
type Run struct {
	Name     string  // unique in a sweep; free text elsewhere
	N        float64 // parameters, under the counting convention of the whole set
	D        float64 // tokens trained on
	C        float64 // FLOPs; 6ND where a source does not say
	Loss     float64 // nats per token on held-out text
	Diverged bool    // the loss is not to be fitted
}
