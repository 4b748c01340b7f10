//go:build slow

package unigram

const trainBytes = 1 << 20
