package scaling

import "math"

// Predictor is a law of loss with the allocation that it makes of a budget.
type Predictor interface {
	// Loss predicts the loss in nats per token of N parameters after D tokens.
	Loss(N, D float64) float64
	// Optimum is what C FLOPs are best spent on: N parameters and D tokens, 6ND = C.
	Optimum(C float64) (N, D float64)
}

// Conventions of counting N.
const (
	AllParams    = "all"           // embeddings and head included
	NonEmbedding = "non-embedding" // neither token nor position embeddings
)

// PublishedLaw is a law of the literature. Its losses belong to its authors' data and tokenizer: between texts compare optima, not losses.
type PublishedLaw struct {
	Name       string
	Source     string // paper and place in it
	Convention string // AllParams or NonEmbedding
	Predictor
}

// Published are the laws of the literature by name.
var Published = []PublishedLaw{
	{"hoffmann", "Hoffmann et al. 2022, arXiv 2203.15556, equation 10, as printed", AllParams, Law{E: 1.69, A: 406.4, B: 410.7, Alpha: 0.34, Beta: 0.28}},
	{"hoffmann-unrounded", "Hoffmann et al. 2022, digits of the paper's source, given by Besiroglu et al. 2024, arXiv 2404.10102", AllParams,
		Law{E: math.Exp(0.5267228), A: math.Exp(6.0073404), B: math.Exp(6.0179186), Alpha: 0.33917084, Beta: 0.2849083}},
	{"epoch", "Besiroglu et al. 2024, arXiv 2404.10102, fit to the points of Hoffmann's figure 4, means of the bootstrap", AllParams,
		Law{E: 1.81686, A: 482.01, B: 2085.43, Alpha: 0.34781, Beta: 0.36585}},
	{"muennighoff", "Muennighoff et al. 2023, arXiv 2305.16264, without repeated data", AllParams, Muennighoff.Law},
	{"kaplan", "Kaplan et al. 2020, arXiv 2001.08361, L(N, D) of equation 1.5, optimum of table 6", NonEmbedding, kaplanPublished{}},
}

// ByName returns a published law.
func ByName(name string) (PublishedLaw, bool) {
	for _, p := range Published {
		if p.Name == name {
			return p, true
		}
	}
	return PublishedLaw{}, false
}

// kaplanPublished joins L(N, D) to the optimum that Kaplan et al. fitted beside it.
type kaplanPublished struct{}

func (kaplanPublished) Loss(N, D float64) float64 { return KaplanLossND.Loss(N, D) }

func (kaplanPublished) Optimum(C float64) (N, D float64) {
	N = KaplanOptimum(C / PFDay).N
	return N, C / 6 / N
}
