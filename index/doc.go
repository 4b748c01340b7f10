// Package index finds the vectors nearest to a query: those with the greatest inner product, or cosine, among many that lie in one file under keys.
//
// Search is exact: it gives what a pass over all vectors with vec.Dot in float32 gives, to the bit and in the same order, at the cost of reading a
// quarter of the bytes. Each row x has codes c of 8 bits with a scale s, and a bound b of how far the inner product with the codes is from vec.Dot:
//
//	|q·x - s (q'·c)| <= |q| b,  b = e (1 + ε) + |x| ε,  e = |x - s c|
//
// where q' is the query in 16 bits, and ε covers its rounding and that of float32 (Cauchy-Schwarz; Jégou et al. 2011 call the scheme re-ranking).
// Only rows whose upper bound reaches the k-th best are looked at in float32.
//
// Near goes through a few of the lists into which k-means has sorted the rows (an inverted file; Sivic & Zisserman 2003), as many as gave the recall
// wanted when the lists were made, and is exact within them.
//
// A file is replaced as a whole on Save, and read in place.
package index
